"""The words of the field: ratings, severities, distortion families, variants of the model.

Each fact stands here once; prompts, schemas, help, documents and the report read it.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

from rsfiqa.registry import Registry

ITU_LEVELS = ("bad", "poor", "fair", "good", "excellent")  # ITU-R BT.500, rated 1 to 5
RATINGS = ("color", "noise", "artifact", "blur", "overall")
SEVERITIES = (1, 2, 3, 4, 5)  # faint to extreme; 0 for no distortion
SEVERITY_WORDS = ("", "faint", "slight", "clear", "strong", "extreme")  # by severity
Variant = Literal["full", "no_mhf", "no_mllm", "no_rsa", "none"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
EXCELLENT = 5
Remaining = tuple[int, int, int, int, int]
# What severities 1 to 5 leave of a family's own rating: 5 less four fifths of the severity.
OWN_RATING: Remaining = (4, 3, 3, 2, 1)


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of distortions.

    Attributes:
        rating: of `RATINGS`, the one that tells of this family; it falls by `OWN_RATING`.
        overall: what severities 1 to 5 leave of the overall rating, 1 (bad) to 5 (excellent).
        side_effects: likewise of other ratings that it harms.
        variants: functions that distort by it, `module:name`; each takes uint8 (H, W, 3), a
            severity of `SEVERITIES` and a generator, and returns uint8 (H, W, 3). The first is the
            one that is meant where one is wanted.
        opposite: a family that it would undo, with which it is never combined.
        augmentation: training draws it for distorted views of images.
    """

    rating: str
    overall: Remaining
    side_effects: dict[str, Remaining] = field(default_factory=dict)
    variants: tuple[str, ...]
    opposite: str | None = None
    augmentation: bool = False

    @property
    def remaining(self) -> dict[str, Remaining]:
        """What severities 1 to 5 leave of each rating that it harms."""
        return {self.rating: OWN_RATING, **self.side_effects, "overall": self.overall}


FAMILIES: Registry[Family] = Registry("distortion family")


def family_words(name: str) -> str:
    """A family's name as it stands in a sentence."""
    return name.replace("_", " ")


def _register(name: str, **facts: object) -> None:
    functions = facts.pop("variants", (name,))
    variants = tuple(f"rsfiqa.images.distort:{one}" for one in functions)  # type: ignore[attr-defined]
    FAMILIES.register(name, Family(variants=variants, **facts))  # type: ignore[arg-type]


# The order is that of prompts, of the classifier's weights and of the examples for teaching.
_register("noise", rating="noise", overall=(4, 3, 2, 2, 1), augmentation=True)
_register(
    "blur", rating="blur", overall=(4, 3, 2, 2, 1), opposite="oversharpening", augmentation=True
)
_register(
    "compression",
    rating="artifact",
    overall=(4, 3, 3, 2, 1),
    side_effects={"blur": (5, 4, 4, 3, 3)},
    variants=("jpeg", "webp"),
    augmentation=True,
)
_register("overexposure", rating="color", overall=(4, 4, 3, 2, 1), opposite="underexposure")
_register(
    "underexposure",
    rating="color",
    overall=(4, 3, 3, 2, 1),
    opposite="overexposure",
    augmentation=True,
)
_register("contrast_high", rating="color", overall=(4, 3, 3, 2, 2), opposite="contrast_low")
_register("contrast_low", rating="color", overall=(4, 3, 3, 2, 1), opposite="contrast_high")
_register("saturation_high", rating="color", overall=(4, 4, 3, 3, 2), opposite="saturation_low")
_register(
    "saturation_low",
    rating="color",
    overall=(4, 4, 4, 3, 3),
    opposite="saturation_high",
    augmentation=True,
)
_register(
    "oversharpening",
    rating="artifact",
    overall=(4, 3, 3, 2, 2),
    side_effects={"noise": (5, 4, 4, 3, 3)},
    opposite="blur",
)
_register(
    "pixelation",
    rating="artifact",
    overall=(3, 2, 2, 1, 1),
    side_effects={"blur": (4, 4, 3, 3, 2)},
)
_register(
    "quantization",
    rating="artifact",
    overall=(4, 4, 3, 2, 2),
    side_effects={"color": (5, 4, 4, 3, 2)},
)
