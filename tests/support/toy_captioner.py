"""A captioner that rates every region as good; tests register it."""

import numpy as np

from rsfiqa.captioners.by_image import ImageCaptioner
from rsfiqa.products.captions import CaptionRow, Distortion
from rsfiqa.vocabulary import RATINGS

TARGET = "tests.support.toy_captioner:ToyCaptioner"


class ToyCaptioner(ImageCaptioner):
    """Blur of severity 1 in every region."""

    def caption(self, image: np.ndarray, labels: np.ndarray) -> list[CaptionRow]:
        """As `Captioner.caption`."""
        return [
            CaptionRow(
                region=region,
                content="toy",
                ratings=dict.fromkeys(RATINGS, 4),
                expectations=dict.fromkeys(RATINGS),
                text=f"Region {region} of {image.shape[1]} x {image.shape[0]} pixels.",
                distortions=[Distortion(family="blur", severity=1)],
            )
            for region in range(int(labels.max()) + 1)
        ]
