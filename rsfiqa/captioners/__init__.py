"""Captioners: regions of images to content, ratings and distortions.

One call chooses the captioner that `caption.backend` names; nothing else compares names::

    with captioners.load(options, log=Path("server.log")) as captioner:
        rows = captioner.caption(image, labels)  # one image in memory
        rows_by_image = captioner.caption_shard(shard)  # what the caption stage does

Adding a captioner is one registration. `ImageCaptioner` of `captioners.by_image` implements all but
`caption`::

    CAPTIONERS.register("toy", CaptionerEntry(target="my.package:ToyCaptioner"))
"""

from rsfiqa.captioners.registry import (
    CAPTIONERS,
    Captioner,
    CaptionerEntry,
    check,
    load,
    recorded,
)

__all__ = ["CAPTIONERS", "Captioner", "CaptionerEntry", "check", "load", "recorded"]
