"""The caption stage: content, ratings and distortions of each region."""

from pathlib import Path

import pyarrow as pa

from rsfiqa import captioners
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.products import captions
from rsfiqa.runtime import shards
from rsfiqa.runtime.shards import Shard


def run(
    folder: Path,
    options: CaptionOptions,
    *,
    max_failed_fraction: float,
    only: tuple[str, ...] = (),
    server_log: Path | None = None,
    replace: bool = True,
) -> None:
    """Write the captions of all shards of a data set's folder, or of those named.

    Args:
        folder: folder of the data set.
        options: options of the stage.
        max_failed_fraction: see `failures.check_failed_fraction`.
        only: names of shards; empty for all.
        server_log: log file of a server that the job starts; by default caption/server.log.
        replace: see `shards.run`.

    Raises:
        InputError: a server cannot be used; and as `shards.run`.
    """
    log = server_log or folder / "caption" / "server.log"
    with captioners.load(options, log=log) as captioner:

        def make(shard: Shard) -> pa.Table:
            return captions.to_table(captioner.caption_shard(shard))

        shards.run(
            "caption",
            folder,
            schema=captions.VERSION,
            options=captioners.recorded(options),
            make=make,
            write=captions.write,
            inputs={"regions": "segment"},
            models=captioner.model_digests,
            shards=only,
            max_failed_fraction=max_failed_fraction,
            replace=replace,
        )
