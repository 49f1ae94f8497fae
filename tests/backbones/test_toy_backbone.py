"""A backbone that is registered in timm runs through the stages; nothing else is to be done."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from timm import create_model
from timm.models import build_model_with_cfg, register_model
from torch import Tensor, nn

from rsfiqa import checkpoints, samples
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.extract import stage as extract
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.train import stage as train
from tests.support.pipeline import SEED, TEST_FRACTION, TRAIN, made


class ToyNetwork(nn.Module):
    """Two convolutions, each of which halves the resolution."""

    def __init__(self, in_chans: int = 3, num_classes: int = 2) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_chans, 4, 3, stride=2, padding=1)
        self.second = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.head = nn.Linear(6, num_classes)
        self.feature_info = [
            {"num_chs": 4, "reduction": 2, "module": "first"},
            {"num_chs": 6, "reduction": 4, "module": "second"},
        ]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x)).mean((2, 3)))


@register_model
def toy_backbone(pretrained: bool = False, **arguments: object) -> nn.Module:
    feature_cfg = {"out_indices": (0, 1)}
    return build_model_with_cfg(
        ToyNetwork, "toy_backbone", pretrained, feature_cfg=feature_cfg, **arguments
    )


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_file(create_model("toy_backbone").state_dict(), path)
    return path


def test_it_is_loaded_by_its_name(weights, noise):
    backbone = load_backbone("toy_backbone", str(weights))
    assert backbone.channels == (4, 6)
    assert (backbone.min_side, backbone.side_multiple) == (1, 1)
    features = backbone.grid_features(noise, 2)
    assert features.shape == (2, 10, 2, 2)
    assert np.isfinite(features).all()


def test_it_runs_through_extract_and_train(weights, tmp_path_factory, tmp_path):
    folder = shutil.copytree(made(tmp_path_factory) / "tiny", tmp_path / "tiny")
    shutil.rmtree(folder / "extract")
    options = ExtractOptions(backbone="toy_backbone", weights=str(weights), grid=4)
    extract.run(folder, options, max_failed_fraction=0.5)
    assert samples.load(folder).channels == (4, 6)
    split = {"variant": "full", "split": "split-00", "test_fraction": TEST_FRACTION, "seed": SEED}
    train.run(folder, tmp_path / "checkpoint", TRAIN, **split)
    model, card = checkpoints.read(tmp_path / "checkpoint")
    assert card.backbone["backbone"] == "toy_backbone"
    assert model.channels == 10
    assert len(card.losses) == TRAIN.epochs == 2
