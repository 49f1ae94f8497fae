"""The subcommand of the prepare stage."""

from pydantic import Field

from rsfiqa.command import MAX_FAILED, REPLACE, DatasetCommand
from rsfiqa.options import Fraction
from rsfiqa.prepare.options import PrepareOptions


class Prepare(DatasetCommand, PrepareOptions):
    """List the images of a data set: sizes, scores, groups, checksums.

    Reads a published data set in its official layout, a CSV with the columns path, mos and
    optionally mos_std, group, subset, or a folder of images; the default is the demo set.
    Writes FOLDER/manifest.parquet, manifest.failures.parquet and manifest.stats.json.
    """

    shard_size: int = Field(1000, ge=1, description="Images per shard.")
    max_failed_fraction: Fraction = Field(0.01, description=MAX_FAILED)
    seed: int = Field(0, ge=0, description="Seed of the noise in the demo set.")
    replace: bool = Field(False, description=REPLACE)

    def run(self) -> None:
        """Run the stage."""
        from rsfiqa.prepare import stage

        stage.run(
            self.folder,
            self.stage_options(PrepareOptions),
            shard_size=self.shard_size,
            max_failed_fraction=self.max_failed_fraction,
            seed=self.seed,
            replace=self.replace,
        )
