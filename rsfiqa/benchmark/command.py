"""The subcommands of the benchmark stage: the stage itself, and a check before it."""

from pydantic import Field

from rsfiqa.benchmark.options import Method
from rsfiqa.command import REPLACE, TEST_FRACTION, Command, Folder
from rsfiqa.options import Name


class Benchmark(Command):
    """Test methods on the splits of a data set, or on another data set.

    Reads RESULTS/<test> (manifest and products) and RESULTS/train/<train>.<variant>/<split>.
    Writes, for each method, RESULTS/benchmark/<train>.<test>.<method>.parquet (a row per split:
    SRCC, KRCC, PLCC raw and after the 4-parameter logistic, RMSE, n) and .predictions.parquet.
    By default tests the full model. Baselines (probe, mlp, brisque) need no checkpoint; they are
    fitted here.
    """

    results: Folder = Field(description="Folder of all results.")
    train: Name = Field(description="Data set trained on.")
    test: Name = Field(description="Data set tested on.")
    variant: tuple[Method, ...] = Field(
        ("full",),
        min_length=1,
        description="Variant of the model, or baseline, to test; can be given several times.",
    )
    number: int = Field(
        10,
        ge=1,
        description="Number of random splits; with --official, or where the two data sets differ,"
        " of training seeds, of which a baseline has one.",
    )
    official: bool = Field(
        False, description="Use the official split of the data set instead of random ones."
    )
    test_fraction: float = Field(0.2, gt=0, lt=1, description=TEST_FRACTION)
    seed: int = Field(0, ge=0, description="Seed of the random splits.")
    replace: bool = Field(False, description=REPLACE)

    def run(self) -> None:
        """Run the stage."""
        from rsfiqa.benchmark import stage

        stage.run(
            self.results,
            train=self.train,
            test=self.test,
            methods=self.variant,
            number=self.number,
            official=self.official,
            test_fraction=self.test_fraction,
            seed=self.seed,
            replace=self.replace,
        )


class Overlap(Command):
    """Check that data sets share no images, before models are tested across them.

    Reads RESULTS/<dataset>/manifest.parquet and compares the bytes of images by their SHA-256.
    Writes RESULTS/benchmark/overlap.json; fails if two data sets share an image.
    """

    results: Folder = Field(description="Folder of all results.")
    dataset: tuple[Name, ...] = Field(
        min_length=2, description="Data set to compare; to be given at least twice."
    )

    def run(self) -> None:
        """Run the check."""
        from rsfiqa.benchmark import overlap

        overlap.run(self.results, self.dataset)
