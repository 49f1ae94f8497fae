"""What a region shows, in plain words: lightness, hue, texture and position."""

import cv2
import numpy as np

HUES = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
HUE_ENDS = (45, 75, 105, 170, 220, 290, 325, 345)  # degrees in the CIELAB a-b plane
GREY_CHROMA = 6  # of the mean color; less has no hue
POSITIONS = np.array(
    [
        ["top left", "top", "top right"],
        ["left", "center", "right"],
        ["bottom left", "bottom", "bottom right"],
    ]
)


def describe(
    lightness: np.ndarray, contrast: np.ndarray, a: np.ndarray, b: np.ndarray
) -> list[str]:
    """Lightness, hue and texture of each of R regions as words.

    Args:
        lightness: mean CIELAB L, float (R,), [0, 100].
        contrast: standard deviation of L.
        a: mean CIELAB a.
        b: mean CIELAB b.
    """
    tones, textures = ("dark", "mid-tone", "bright"), ("smooth", "textured", "busy")
    return [
        f"{tones[tone]} {_hue(*color)} {textures[texture]} area"
        for tone, texture, color in zip(
            np.digitize(lightness, (30, 65)),
            np.digitize(contrast, (5, 12)),
            zip(a, b, strict=True),
            strict=True,
        )
    ]


def describe_image(image: np.ndarray, labels: np.ndarray) -> list[str]:
    """Lightness, hue and texture of each region of an image as words.

    Args:
        image: sRGB, uint8 (H, W, 3).
        labels: label map of the image, (H, W), 0..R-1.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    flat = labels.ravel().astype(np.intp)
    areas = np.bincount(flat)

    def mean(values: np.ndarray) -> np.ndarray:
        result: np.ndarray = np.bincount(flat, values.ravel()) / areas
        return result

    light = lab[..., 0] * (100 / 255)
    lightness = mean(light)
    contrast = np.sqrt(np.maximum(mean(light * light) - lightness**2, 0))
    return describe(lightness, contrast, mean(lab[..., 1] - 128), mean(lab[..., 2] - 128))


def _hue(a: float, b: float) -> str:
    if np.hypot(a, b) < GREY_CHROMA:
        return "grey"
    degrees = np.degrees(np.arctan2(b, a)) % 360
    return HUES[int(np.digitize(degrees, HUE_ENDS)) % len(HUES)]


def positions_of(labels: np.ndarray) -> list[str]:
    """Position of each region's centroid in thirds of the image, and its percentage of the area."""
    flat, (height, width) = labels.ravel(), labels.shape
    areas = np.bincount(flat)
    rows, columns = np.divmod(np.arange(labels.size), width)
    y = np.bincount(flat, rows) / areas / height
    x = np.bincount(flat, columns) / areas / width
    thirds = np.digitize(y, (1 / 3, 2 / 3)), np.digitize(x, (1 / 3, 2 / 3))
    percentages = np.rint(100 * areas / labels.size).astype(int)
    return [
        f"{position}, {max(percentage, 1)} % of the image"
        for position, percentage in zip(POSITIONS[thirds], percentages, strict=True)
    ]
