"""Data sets, options and models that the tests of trainings share."""

import copy
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from rsfiqa import samples
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.model import RSA
from rsfiqa.samples import Samples
from rsfiqa.train import stage as train
from rsfiqa.train.finetuned_model import FinetunedModel
from rsfiqa.train.options import TrainOptions
from tests.support.pipeline import SEED, TEST_FRACTION, made

SPLIT = {"variant": "full", "split": "split-00", "test_fraction": TEST_FRACTION, "seed": SEED}
SMALL = {"min_images": 2, "epochs": 1, "ensemble_heads": 2, "width": 8, "hidden": 8}
FINETUNE = {"enabled": True, "epochs": 3, "batch_size": 4, "crop": 48}


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of results with the data set `tiny`, of 12 images."""
    return made(tmp_path_factory)


@pytest.fixture
def tiny(root: Path, tmp_path: Path) -> Path:
    """A copy of the data set of 12 images."""
    return shutil.copytree(root / "tiny", tmp_path / "tiny")


def finetune_options(finetune: dict[str, Any] | None = None, **changes: Any) -> TrainOptions:
    """Return the options of a short fine-tuning, with changes."""
    return TrainOptions(**SMALL | changes, finetune=FINETUNE | (finetune or {}))


@pytest.fixture(scope="session")
def options() -> Callable[..., TrainOptions]:
    """A function that returns the options of a short fine-tuning, with changes."""
    return finetune_options


@pytest.fixture(scope="session")
def split() -> dict[str, Any]:
    """The arguments of `train.run` that choose what to train on."""
    return dict(SPLIT)


@dataclass(frozen=True)
class Setup:
    """A fine-tuning after its training on frozen features.

    Attributes:
        folder: folder of the data set.
        data: all images of the data set.
    """

    folder: Path
    data: Samples

    @cached_property
    def parts(self) -> train.Parts:
        """Training, validation and test images."""
        return train.divide(
            self.data,
            finetune_options(validation_fraction=0.3),
            split="split-00",
            test_fraction=TEST_FRACTION,
            seed=SEED,
        )

    @cached_property
    def train_data(self) -> Samples:
        """The images that are not in the test part."""
        return self.data.take(self.parts.names != "test")

    @cached_property
    def _backbone(self) -> Backbone:
        return load_backbone("tf_efficientnet_lite0", "packaged")

    @cached_property
    def _model(self) -> RSA:
        options = finetune_options()
        model = train.make_model(self.train_data, options, "full", SEED)
        train.train(model, self.train_data, options, seed=SEED)
        return model

    def model(self, variant: str = "full") -> FinetunedModel:
        """Return a model to be fine-tuned: the same at each call."""
        if variant == "full":
            model = copy.deepcopy(self._model)
        else:
            model = train.make_model(self.train_data, finetune_options(), variant, SEED)
        grid = self.data.batch.grid_features.shape[-1]
        return FinetunedModel(copy.deepcopy(self._backbone), model, grid)


@pytest.fixture(scope="session")
def setup(root: Path) -> Setup:
    """A fine-tuning after its training on frozen features."""
    return Setup(root / "tiny", samples.load(root / "tiny"))
