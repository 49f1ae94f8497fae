"""Regions to captions: content, ratings and distortions."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import cv2
import pyarrow as pa

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.rule_based import captioner as rule_based
from rsfiqa.images import load
from rsfiqa.products import captions, regions
from rsfiqa.runtime import shards
from rsfiqa.runtime.shards import Shard


def run(
    folder: Path,
    options: CaptionOptions,
    *,
    max_failed_fraction: float,
    only: tuple[str, ...] = (),
    server_log: Path | None = None,
) -> None:
    """Write the captions of all shards of a data set's folder, or of those named.

    Args:
        folder: of the data set.
        options: of the stage.
        max_failed_fraction: see `failures.check_failed_fraction`.
        only: names of shards.
        server_log: takes what an own model server writes; by default caption/server.log.

    Raises:
        InputError: a server that cannot be used; and as `shards.run`.
    """
    recorded, digests = options.recorded(), {}
    make: Callable[[Shard], pa.Table] = partial(caption_shard, options=options)
    with ExitStack() as stack:
        if options.backend == "vllm":
            from rsfiqa.captioners.vlm import captioner as vlm
            from rsfiqa.captioners.vlm import (
                prompt,
                server,  # a client others need not install
            )

            vlm.check(options)
            recorded["version"], digests = prompt.VERSION, server.digests(options.server)
            log_file = server_log or folder / "caption" / "server.log"
            make = stack.enter_context(vlm.VLMCaptioner(options, digests, log_file)).caption_shard
        shards.run(
            "caption",
            folder,
            schema=captions.VERSION,
            options=recorded,
            make=make,
            write=captions.write,
            inputs={"regions": "segment"},
            models=digests,
            shards=only,
            max_failed_fraction=max_failed_fraction,
        )


def caption_shard(shard: Shard, options: CaptionOptions) -> pa.Table:
    """The captions of all regions of a shard; an image that cannot be read becomes a failure."""
    cv2.setNumThreads(1)  # shards are the unit of parallel work
    reader = regions.Reader(shard.path_of("segment"))
    paths = {row["image_id"]: Path(row["path"]) for row in shard.images}
    rows = []
    for image_id in shard.progress(reader.image_ids):
        with shard.record_failure(image_id):
            labels = reader[image_id].labels
            image, labels = load.load_with_labels(paths[image_id], labels, options.long_side)
            rows += [{"image_id": image_id, **row} for row in rule_based.caption(image, labels)]
    shard.counts["regions"] = len(rows)
    return pa.Table.from_pylist(rows, schema=captions.SCHEMA)
