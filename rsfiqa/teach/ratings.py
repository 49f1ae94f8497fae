"""The ratings that follow from the distortions of a region, by a written table."""

from collections.abc import Iterable

from rsfiqa.captioners.vlm.answer import Distortion
from rsfiqa.vocabulary import RATINGS

EXCELLENT = 5
FALLING = (4, 3, 3, 2, 1)  # 5 less four fifths of the level: six grades, evenly, on five words
# What a family at level 1, 2, 3, 4, 5 leaves of each rating, 1 (bad) to 5; what is not named stays
# excellent. A family's own rating falls alike for all. Overall falls with the structural similarity
# to the pristine image, but grey pictures and strong codecs more than that measure sees
# (docs/teach.md has it beside the table).
TABLE: dict[str, dict[str, tuple[int, int, int, int, int]]] = {
    "noise": {"noise": FALLING, "overall": (4, 3, 2, 2, 1)},
    "blur": {"blur": FALLING, "overall": (4, 3, 2, 2, 1)},
    "compression": {"artifact": FALLING, "blur": (5, 4, 4, 3, 3), "overall": (4, 3, 3, 2, 1)},
    "overexposure": {"color": FALLING, "overall": (4, 4, 3, 2, 1)},
    "underexposure": {"color": FALLING, "overall": (4, 3, 3, 2, 1)},
    "contrast_high": {"color": FALLING, "overall": (4, 3, 3, 2, 2)},
    "contrast_low": {"color": FALLING, "overall": (4, 3, 3, 2, 1)},
    "saturation_high": {"color": FALLING, "overall": (4, 4, 3, 3, 2)},
    "saturation_low": {"color": FALLING, "overall": (4, 4, 4, 3, 3)},
    "oversharpening": {"artifact": FALLING, "noise": (5, 4, 4, 3, 3), "overall": (4, 3, 3, 2, 2)},
    "pixelation": {"artifact": FALLING, "blur": (4, 4, 3, 3, 2), "overall": (3, 2, 2, 1, 1)},
    "quantization": {"artifact": FALLING, "color": (5, 4, 4, 3, 2), "overall": (4, 4, 3, 2, 2)},
}


def ratings_of(distortions: Iterable[Distortion]) -> dict[str, int]:
    """Each of `captions.RATINGS`, 1 (bad) to 5: the worst that any of the distortions leaves."""
    found = dict.fromkeys(RATINGS, EXCELLENT)
    for distortion in distortions:
        for rating, by_level in TABLE[distortion.family].items():
            found[rating] = min(found[rating], by_level[distortion.severity - 1])
    return found
