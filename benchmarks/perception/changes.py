"""What is done to good photographs to see whether the score falls and the reason is named."""

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

RADIUS, PERCENT = 2.0, 600  # of the unsharp mask
TEXT, OPACITY, WIDTH = "SAMPLE PREVIEW", 0.6, 0.85  # of the watermark; WIDTH of the diagonal
GAIN = 2.2  # of the pixel values
SIGMA, SOFT = 5.0, 8.0  # pixels: of the partial blur, of its edge
WORD_SIGMA = 5.0  # pixels, of the blur of whole photographs


def oversharpening(image: np.ndarray) -> np.ndarray:
    """The image after an unsharp mask of 600 %."""
    mask = ImageFilter.UnsharpMask(RADIUS, PERCENT, threshold=0)
    return np.asarray(Image.fromarray(image).filter(mask))


def watermark(image: np.ndarray) -> np.ndarray:
    """The image with a half-transparent white text across, from corner to corner."""
    height, width = image.shape[:2]
    layer = Image.new("L", (2 * max(height, width),) * 2)
    middle = (layer.width / 2, layer.height / 2)
    diagonal = float(np.hypot(height, width))
    draw = ImageDraw.Draw(layer)
    unit = draw.textlength(TEXT, ImageFont.load_default(100)) / 100  # pixels per point
    font = ImageFont.load_default(WIDTH * diagonal / unit)
    draw.text(middle, TEXT, 255, font, anchor="mm")
    turned = layer.rotate(float(np.degrees(np.arctan2(height, width))), Image.Resampling.BICUBIC)
    left, top = (layer.width - width) // 2, (layer.height - height) // 2
    cut = np.asarray(turned)[top : top + height, left : left + width, None]
    return _to_uint8(image + OPACITY * cut / 255 * (255.0 - image))


def overexposure(image: np.ndarray) -> np.ndarray:
    """The image with pixel values multiplied by 2.2 and clipped."""
    return _to_uint8(GAIN * image.astype(np.float32))


def partial_blur(image: np.ndarray) -> np.ndarray:
    """The image with its left half blurred, and a soft transition."""
    weight = np.zeros(image.shape[:2], np.float32)
    weight[:, : image.shape[1] // 2] = 1
    weight = cv2.GaussianBlur(weight, (0, 0), SOFT)[..., None]
    return _to_uint8(image + weight * (blur(image, SIGMA).astype(np.float32) - image))


def blur(image: np.ndarray, sigma: float = WORD_SIGMA) -> np.ndarray:
    """The image after a Gaussian blur."""
    blurred: np.ndarray = cv2.GaussianBlur(image, (0, 0), sigma)
    return blurred


def _to_uint8(values: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return rounded


BLURS = ("defocus", "motion_blur", "blur")
# Each change, and the families that are right for it.
CHANGES = {
    "oversharpening": (oversharpening, ("oversharpening",)),
    "watermark": (watermark, ("watermark",)),
    "overexposure": (overexposure, ("overexposure",)),
    "partial_blur": (partial_blur, BLURS),
}
