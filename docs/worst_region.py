"""docs/worst-region.png: a photograph, the same out of focus, and its worst region."""

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rsfiqa import Scorer
from rsfiqa.datasets import demo
from rsfiqa.images.realistic.distort import RealisticDistortion, distort_region
from rsfiqa.score.result import Region, Score

PHOTOGRAPH = "sklearn/datasets/images/flower.jpg"
CREDIT = "Photograph: vultilion on Flickr, CC BY 2.0; defocused on the right."
CENTER, AXES = (307, 213), (143, 150)  # of the blossom, pixels
DISTORTION = RealisticDistortion("defocus", "defocus", 4)
LONG_SIDE = 640  # pixels, of the photograph
LEAST_INSIDE = 0.9  # fraction of the worst region that lies in the blossom
MARGIN, LINE, BIG, SMALL = 24, 32, 24, 19  # pixels
SMOOTHING = 2.5  # pixels; label maps are coarser than the photograph
INK, FAINT, PAPER, MARK = (32, 33, 36), (110, 112, 118), (255, 255, 255), (255, 176, 0)


def main(output: Path) -> None:
    """Write the picture.

    Args:
        output: PNG.
    """
    scorer = Scorer.load(device="cpu")
    pristine, image = photographs()
    result = scorer.score(image)
    region = result.worst
    assert region is not None
    found = mask_of(result, result.regions.index(region), image)
    inside = (found & blossom(image)).sum() / found.sum()
    if inside < LEAST_INSIDE or DISTORTION.family not in dict(region.distortions):
        sys.exit(f"worst-region: {region.text!r}, {inside:.0%} inside; choose another region")
    lines = texts(result, region, scorer.score(pristine).score)
    drawing((pristine, outlined(image, found)), lines).save(output, optimize=True)
    print(region.text)


def photographs() -> tuple[np.ndarray, np.ndarray]:
    """The photograph, and the same with the blossom out of focus: uint8 (H, W, 3) each."""
    pristine = demo.photograph(PHOTOGRAPH, LONG_SIDE)
    random = np.random.default_rng(0)
    return pristine, distort_region(pristine, blossom(pristine), DISTORTION, random)


def blossom(image: np.ndarray) -> np.ndarray:
    """The pixels of the blossom: bool (H, W)."""
    mask = np.zeros(image.shape[:2], np.uint8)
    return cv2.ellipse(mask, CENTER, AXES, 0, 0, 360, 1, cv2.FILLED).astype(bool)


def mask_of(result: Score, number: int, image: np.ndarray) -> np.ndarray:
    """The pixels of a region: bool (H, W) of the image uint8 (H, W, 3)."""
    inside = (result.labels == number).astype(np.float32)
    enlarged = cv2.resize(inside, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(enlarged, (0, 0), SMOOTHING) > 0.5


def texts(result: Score, region: Region, pristine: float) -> tuple[str, str]:
    """What stands below the photographs."""
    lost = sum(region.cost for region in result.regions)
    return (
        f"Score {pristine:.1f} of 100\n{CREDIT}",
        f"Score {result.score:.1f} of 100: {result.reason}\n"
        f"The worst region costs {region.cost:.1f} of the {lost:.1f} points that are lost:\n"
        f"{region.text}",
    )


def drawing(photographs: tuple[np.ndarray, np.ndarray], lines: tuple[str, str]) -> Image.Image:
    """Two photographs side by side, each above its text."""
    height, width = photographs[0].shape[:2]
    sheet = Image.new("RGB", (2 * width + 3 * MARGIN, height + 2 * MARGIN + 3 * LINE), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, pixels in enumerate(photographs):
        left = MARGIN + column * (width + MARGIN)
        sheet.paste(Image.fromarray(pixels), (left, MARGIN))
        for row, text in enumerate(lines[column].split("\n")):
            place = (left, MARGIN + height + 12 + row * LINE)
            color = FAINT if text == CREDIT else INK
            font = ImageFont.load_default(SMALL if row else BIG)
            draw.text(place, text, fill=color, font=font)
    return sheet


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with the outer outline of a region: uint8 (H, W, 3)."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(image.copy(), contours, -1, MARK, 3, cv2.LINE_AA)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
