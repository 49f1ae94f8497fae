"""docs/worst-region.png: a photograph with one distorted region, and what is said of it."""

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rsfiqa import Scorer
from rsfiqa.datasets import demo
from rsfiqa.images.realistic.distort import RealisticDistortion, distort_region
from rsfiqa.score.result import Region, Score, worst_region

PHOTOGRAPH = "matplotlib/mpl-data/sample_data/grace_hopper.jpg"  # by the US Navy, public domain
REGION = 2  # by area, of the pristine photograph
DISTORTION = RealisticDistortion("compression", "jpeg", 5)
LONG_SIDE = 640  # pixels; the photograph is smaller
ZOOM = 1.4
LEAST_OVERLAP = 0.85  # intersection over union of the region that is found and the distorted one
MARGIN, LINE = 24, 36  # pixels
INK, PAPER, MARK = (32, 33, 36), (255, 255, 255), (255, 176, 0)


def main(output: Path) -> None:
    """Write the picture.

    Args:
        output: PNG.
    """
    scorer = Scorer.load(device="cpu")
    pristine = demo.photograph(PHOTOGRAPH, LONG_SIDE)
    chosen = mask_of(scorer.score(pristine), REGION, pristine)
    image = distort_region(pristine, chosen, DISTORTION, np.random.default_rng(0))
    result = scorer.score(image)
    number = worst_of(result)
    found = mask_of(result, number, image)
    region = result.regions[number]
    overlap = (found & chosen).sum() / (found | chosen).sum()
    if overlap < LEAST_OVERLAP or DISTORTION.family not in dict(region.distortions):
        sys.exit(f"worst-region: {region.text!r}, overlap {overlap:.0%}; choose another region")
    drawn = drawing(pristine, image, found, texts(result, region, scorer.score(pristine).score))
    drawn.quantize(256, kmeans=3).save(output, optimize=True)
    print(region.text)


def mask_of(result: Score, number: int, image: np.ndarray) -> np.ndarray:
    """The pixels of a region: bool (H, W) of the image uint8 (H, W, 3)."""
    inside = (result.labels == number).astype(np.uint8)
    size = image.shape[1::-1]
    return cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST).astype(bool)


def worst_of(result: Score) -> int:
    """The number of the worst region."""
    return result.regions.index(worst_region(result, lower_better=False))


def texts(result: Score, region: Region, pristine: float) -> tuple[str, str]:
    """What stands below the photographs."""
    lost = sum(region.cost for region in result.regions)
    return (
        f"The photograph: score {pristine:.1f} of 100",
        f"One region saved as a poor JPEG: score {result.score:.1f}\n"
        f"{region.text}\nIt costs {region.cost:.1f} of the {lost:.1f} points that are lost.",
    )


def drawing(
    pristine: np.ndarray, image: np.ndarray, mask: np.ndarray, lines: tuple[str, str]
) -> Image.Image:
    """Two photographs side by side, with the region outlined in the second, above their texts."""
    height, width = (round(side * ZOOM) for side in image.shape[:2])
    sheet = Image.new("RGB", (2 * width + 3 * MARGIN, height + 2 * MARGIN + 3 * LINE), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, pixels in enumerate((enlarged(pristine), outlined(enlarged(image), mask))):
        left = MARGIN + column * (width + MARGIN)
        sheet.paste(Image.fromarray(pixels), (left, MARGIN))
        for row, text in enumerate(lines[column].split("\n")):
            place = (left, MARGIN + height + 12 + row * LINE)
            draw.text(place, text, fill=INK, font=ImageFont.load_default(25 if row == 0 else 22))
    return sheet


def enlarged(image: np.ndarray) -> np.ndarray:
    """The image at `ZOOM`: uint8 (H, W, 3)."""
    return cv2.resize(image, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with the outline of a region, which may be of another size: uint8 (H, W, 3)."""
    inside = cv2.resize(mask.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(image.copy(), contours, -1, MARK, 4, cv2.LINE_AA)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
