"""What is laid over a photograph: text, as of a watermark."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = (
    *("PROOF", "DRAFT", "stock photo", "COPYRIGHT", "do not copy", "www.photos", "Preview", "24"),
    *("2019-07-14", "Sunset Studio", "#travel", "FOR REVIEW ONLY", "by Anna"),
)
HEIGHTS = (0.05, 0.3)  # of the letters, fractions of the image's height
REPEATED, LIGHT = 0.4, 0.7  # probabilities: all over the image, white rather than black
BRIGHT = 200  # mean pixel value of an image on which white text is invisible
TURN = 45  # degrees at most
LINE, GAP = 2.5, 1.0  # between repeated lines and words, in heights of the letters
LEAST_SIZE = 6.0  # pixels, of the letters
WIDEST, OFFSET = 1.2, 0.3  # of a single text: width, and distance from the middle, in sides


def watermark(image: np.ndarray, opacity: float, random: np.random.Generator) -> np.ndarray:
    """Half-transparent text, once or repeated, at an angle.

    Args:
        image: uint8 (H, W, 3).
        opacity: of the text, in [0, 1].
        random: draws words, size, angle, place, and whether the text is white or black.
    """
    height, width = image.shape[:2]
    side = 2 * max(height, width)
    layer = Image.new("L", (side, side))
    draw = ImageDraw.Draw(layer)
    word = str(random.choice(WORDS))
    size = max(random.uniform(*HEIGHTS) * height, LEAST_SIZE)
    font = ImageFont.load_default(size)
    x = y = side / 2
    if random.random() < REPEATED:
        across = draw.textlength(word, font) + GAP * size
        for row, upper in enumerate(np.arange(0, side, LINE * size)):
            for left in np.arange(-across * (row % 2) / 2, side, across):
                draw.text((float(left), float(upper)), word, 255, font)
    else:
        length = max(draw.textlength(word, font), 1)
        font = ImageFont.load_default(min(size, size * WIDEST * width / length))
        right, down = random.uniform(-OFFSET, OFFSET, 2)
        x, y = x + right * width, y + down * height
        draw.text((x, y), word, 255, font, anchor="mm")
    turned = layer.rotate(random.uniform(-TURN, TURN), Image.Resampling.BICUBIC, center=(x, y))
    left, top = (side - width) // 2, (side - height) // 2
    text = np.asarray(turned)[top : top + height, left : left + width, None] / 255
    color = 255.0 * (random.random() < LIGHT and image.mean() < BRIGHT)
    mixed: np.ndarray = np.rint(image + opacity * text * (color - image)).astype(np.uint8)
    return mixed
