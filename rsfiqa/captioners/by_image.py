"""Base class of captioners that work image by image in this process."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import cv2
import numpy as np

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.registry import Captioner
from rsfiqa.captioners.sentence import caption_sentence
from rsfiqa.images import load
from rsfiqa.products import regions
from rsfiqa.products.captions import CaptionRow, Distortion
from rsfiqa.runtime.shards import Shard

if TYPE_CHECKING:
    from torch import Tensor

MENTIONED = 2  # distortions named in the sentence


class ImageCaptioner(Captioner):
    """A captioner of which a subclass implements `caption`; see `Captioner`."""

    version: ClassVar[int | None] = None

    def __init__(self, options: CaptionOptions, *, log: Path) -> None:
        self.options, self.log = options, log

    @classmethod
    def check(cls, options: CaptionOptions) -> None:
        """As `Captioner.check`; most have nothing to check."""

    @property
    def model_digests(self) -> Mapping[str, str]:
        """As `Captioner.model_digests`; by default there are no model files."""
        return {}

    @property
    def backbone_sha256(self) -> str | None:
        """As `Captioner.backbone_sha256`; by default there is no backbone."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Release nothing."""

    @abstractmethod
    def caption(self, image: np.ndarray, labels: np.ndarray) -> list[CaptionRow]:
        """As `Captioner.caption`."""

    def caption_maps(
        self, image: np.ndarray, labels: np.ndarray, maps: Sequence["Tensor"]
    ) -> list[CaptionRow]:
        """As `Captioner.caption_maps`; by default without using the maps."""
        del maps
        return self.caption(image, labels)

    def caption_shard(self, shard: Shard) -> dict[str, list[CaptionRow]]:
        """As `Captioner.caption_shard`, one image after the other."""
        cv2.setNumThreads(1)  # shards are the unit of parallel work
        reader = regions.Reader(shard.path_of("segment"))
        paths = {row["image_id"]: Path(row["path"]) for row in shard.images}
        captions = {}
        for image_id in shard.progress(reader.image_ids):
            with shard.record_failure(image_id):
                labels = reader[image_id].labels
                image, labels = load.load_with_labels(
                    paths[image_id], labels, self.options.long_side
                )
                captions[image_id] = self.caption(image, labels)
        shard.counts["regions"] = sum(len(rows) for rows in captions.values())
        return captions


def caption_row(
    region: int,
    content: str,
    position: str,
    distortions: list[Distortion],
    expectations: Mapping[str, float],
) -> CaptionRow:
    """The caption of a region, from its ratings and what is found in it.

    Args:
        region: number of the region in its label map.
        content: what it shows.
        position: where it lies.
        distortions: in the order in which they are named; the sentence names `MENTIONED` of them.
        expectations: of each rating, in [1, 5].
    """
    levels = {name: int(np.rint(expectation)) for name, expectation in expectations.items()}
    return CaptionRow(
        region=region,
        content=f"{content}, {position}",
        ratings=levels,
        expectations=expectations,
        text=caption_sentence(f"A {content}", distortions[:MENTIONED], levels["overall"]),
        distortions=distortions,
    )
