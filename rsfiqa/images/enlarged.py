"""Whether the larger of two copies shows more than the smaller one."""

import cv2
import numpy as np

LEAST_RATIO = 1.2  # of the long sides, below which two copies count as equally large
CROP = 1536  # pixels of the center of the larger copy that are examined
# Detail of the larger copy beyond the resolution of the smaller one, relative to what interpolation
# of the smaller one makes up. At ratios of 1.25 to 3 it is 1.6 or more for originals of Kodak, and
# at most 1.5 for their enlargements, as JPEG. Of 960 originals of BIQ2021's training part 4 lie
# below the bounds, and of as many enlargements 7 % above: dark ones, where JPEG makes up detail.
RATIOS, BOUNDS = (1.2, 1.5, 2.0, 3.0), (1.35, 1.6, 2.2, 2.0)
NO_DETAIL = 0.05  # grey levels


def has_more_detail(large: np.ndarray, small: np.ndarray) -> bool:
    """Whether a picture shows detail that a smaller copy of it cannot show.

    An enlargement does not, nor does a picture that is blurred as much. If the sizes are about
    equal, neither shows more.

    Args:
        large: uint8 (H, W, 3).
        small: the same picture at fewer pixels, uint8 (h, w, 3).
    """
    ratio = max(large.shape[:2]) / max(small.shape[:2])
    if ratio < LEAST_RATIO:
        return False
    fraction = min(1.0, CROP / max(large.shape[:2]))
    whole, part = (_center(image, fraction) for image in (large, small))
    size = part.shape[::-1]
    made_up = cv2.resize(part, whole.shape[::-1], interpolation=cv2.INTER_CUBIC)
    reduced = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    # a copy that was made darker, or of less contrast, has less detail in grey levels
    contrast = reduced.std()
    toned = part.std() / contrast if contrast > NO_DETAIL else 1.0
    lost = _beyond(made_up, cv2.resize(made_up, size, interpolation=cv2.INTER_AREA))
    gained = toned * _beyond(whole, reduced) / max(lost, NO_DETAIL)
    return bool(gained > np.interp(ratio, RATIOS, BOUNDS))


def _center(image: np.ndarray, fraction: float) -> np.ndarray:
    """The center of an image in grey, a fraction of each side: float32."""
    cut = [
        slice((side - kept) // 2, (side - kept) // 2 + kept)
        for side in image.shape[:2]
        for kept in (max(1, round(side * fraction)),)
    ]
    grey: np.ndarray = cv2.cvtColor(np.ascontiguousarray(image[cut[0], cut[1]]), cv2.COLOR_RGB2GRAY)
    return grey.astype(np.float32)


def _beyond(grey: np.ndarray, reduced: np.ndarray) -> float:
    """Standard deviation of what an image float32 (H, W) loses when it is reduced."""
    lost = grey - cv2.resize(reduced, grey.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return float(lost.std())
