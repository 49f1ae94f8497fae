"""The captioner of the network that perceives distortions: families, ratings and a sentence."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.by_image import ImageCaptioner
from rsfiqa.captioners.classifier.network import Perception
from rsfiqa.captioners.classifier.perceived import rows_of
from rsfiqa.captioners.classifier.weights import packaged
from rsfiqa.captioners.rule_based.statistics import region_statistics
from rsfiqa.products.captions import CaptionRow


class ClassifierCaptioner(ImageCaptioner):
    """Captions of regions from the packaged perception; see `Captioner`."""

    def __init__(self, options: CaptionOptions, *, log: Path) -> None:
        super().__init__(options, log=log)
        self.perception: Perception = packaged()

    @property
    def model_digests(self) -> Mapping[str, str]:
        """SHA-256 of the perception's weights."""
        return {"perception": self.perception.backbone.sha256}

    @property
    def backbone_sha256(self) -> str:
        """As `Captioner.backbone_sha256`."""
        return self.perception.backbone.sha256

    def caption(self, image: np.ndarray, labels: np.ndarray) -> list[CaptionRow]:
        """As `Captioner.caption`."""
        with torch.autocast("cpu", enabled=False):
            return self._caption(image, labels, None)

    def caption_maps(
        self, image: np.ndarray, labels: np.ndarray, maps: Sequence[Tensor]
    ) -> list[CaptionRow]:
        """As `Captioner.caption_maps`."""
        return self._caption(image, labels, maps)

    def _caption(
        self, image: np.ndarray, labels: np.ndarray, maps: Sequence[Tensor] | None
    ) -> list[CaptionRow]:
        statistics = region_statistics(image, labels)
        perceived = self.perception.perceive(image, labels, maps=maps, statistics=statistics)
        return rows_of(labels, statistics, perceived)
