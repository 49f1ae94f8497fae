"""The subcommand of the train stage."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from rsfiqa.backbones import PACKAGED
from rsfiqa.command import DATASET, REPLACE, TEST_FRACTION, Command, Folder
from rsfiqa.errors import InputError
from rsfiqa.products.paths import checkpoint_folder, dataset_name, results_folder
from rsfiqa.train.options import TrainOptions
from rsfiqa.vocabulary import Variant


class Train(Command, TrainOptions):
    """Train models on splits of a data set, one model per split.

    Reads FOLDER/manifest.parquet, the products of segment, caption, embed and extract, and, for
    fine-tuning, the images. Under torchrun several GPUs share a fine-tuning. Writes a checkpoint
    per split: model.safetensors, card.json, split.parquet and stats.json. By default trains the
    full model on the training part of the first random split, and writes to
    results/train/<dataset>.<variant>/<split>; with --also, <dataset> is the names of all data sets
    joined by +.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "extract.weights": "weights",
        "benchmark.test_fraction": "test_fraction",
    }

    folder: Folder = Field(description=DATASET)
    output: Path | None = Field(
        None, description="Folder of the checkpoint, where there is one split."
    )
    variant: Variant = Field("full", description="The full model, or one without some parts.")
    split: tuple[str, ...] = Field(
        ("split-00",),
        min_length=1,
        description="Split to train on; can be given several times. split-<n>: a random split by"
        " group; official-<n>: the data set's official split, seed n; all-<n>: all images, seed n.",
    )
    test_fraction: float = Field(0.2, gt=0, lt=1, description=TEST_FRACTION)
    also: tuple[Path, ...] = Field(
        (),
        description="Folder of a data set to train on too; can be given several times. Its images"
        " outside its official test part are used, with a scale of its own: split and units of the"
        " scores are those of FOLDER. An image of an added data set has a tenth of the weight in"
        " the loss. Its products must be made by the same options and weights.",
    )
    seed: int = Field(0, ge=0, description="Seed of splits, initial weights and batches.")
    weights: str = Field(
        PACKAGED, description="Weights of the backbone for fine-tuning, as given to extract."
    )
    replace: bool = Field(False, description=REPLACE)

    def run(self) -> None:
        """Run the stage, for one split after the other.

        Raises:
            InputError: --output with several splits; or as `train.stage.run`.
        """
        if self.output is not None and len(self.split) > 1:
            raise InputError(
                f"--output: must be left out where several splits are trained, found"
                f" {len(self.split)} splits; give one split, or use the default folders"
            )
        from rsfiqa import samples
        from rsfiqa.train import stage
        from rsfiqa.train.added import check_names, load_added

        options = self.stage_options(TrainOptions)
        root = results_folder(self.folder)
        name = "+".join(map(dataset_name, (self.folder, *self.also)))
        data = added = None
        if len(self.split) > 1:  # once for all splits
            check_names(self.folder, self.also)
            data = samples.load(self.folder)
            added = load_added(self.also, data)
        for split in self.split:
            stage.run(
                self.folder,
                self.output or checkpoint_folder(root, name, self.variant, split),
                options,
                variant=self.variant,
                split=split,
                test_fraction=self.test_fraction,
                seed=self.seed,
                weights=self.weights,
                also=self.also,
                data=data,
                added=added,
                replace=self.replace,
            )
