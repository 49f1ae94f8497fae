"""The words of the field: ratings, severities, distortion families, model variants.

Each fact stands here once; prompts, schemas, help texts, documents and the report read it. To add
a distortion family, write its function and call `FAMILIES.register(name, Family(...))`; code that
iterates over the families reads the registry when it runs, not when it is imported.

There are two sets of families. `FAMILIES` are those of textbooks: the rule-based and the VLM
captioner name them, and their prompts, schemas and weights follow from them. `REALISTIC_FAMILIES`
are what people name in photographs, simulated as they arise in a camera; a name that is in both
sets is rated alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from rsfiqa.registry import Registry

if TYPE_CHECKING:  # read where numpy is not needed
    import numpy as np

Severity = TypeVar("Severity", float, "np.ndarray[Any, Any]")  # one or an array of them

ITU_LEVELS = ("bad", "poor", "fair", "good", "excellent")  # ITU-R BT.500, rated 1 to 5
EXCELLENT = len(ITU_LEVELS)  # the best rating
RATINGS = ("color", "noise", "artifact", "blur", "overall")
SEVERITIES = (1, 2, 3, 4, 5)  # faint to extreme; 0 for no distortion
SEVERITY_WORDS = ("", "faint", "slight", "clear", "strong", "extreme")  # by severity
Variant = Literal["full", "no_mhf", "no_mllm", "no_rsa", "none"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

# Where in the life of a photograph a distortion arises, in physical order. Distortions that are
# combined are applied in this order: a file cannot be compressed before it is exposed.
ImagingStep = Literal["light", "lens", "sensor", "software", "file"]
IMAGING_STEPS: tuple[ImagingStep, ...] = get_args(ImagingStep)

RatingsBySeverity = tuple[int, int, int, int, int]
# A family's own rating at severities 1 to 5: four fifths of the severity below excellent.
OWN_RATING: RatingsBySeverity = (4, 3, 3, 2, 1)


# By how much a rating falls per unit of severity: 0.8, from excellent to bad in five steps.
RATING_PER_SEVERITY = (EXCELLENT - 1) / len(SEVERITIES)


def rating_at(severity: Severity) -> Severity:
    """The rating that a severity gives, not clipped: excellent less 0.8 per unit of severity."""
    return EXCELLENT - RATING_PER_SEVERITY * severity


def severity_of(rating: float) -> float:
    """The severity of a rating in [1, 5], unrounded: five fourths of what it lacks of excellent."""
    return (EXCELLENT - rating) * len(SEVERITIES) / (EXCELLENT - 1)


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of distortions.

    Attributes:
        rating: the rating of `RATINGS` that describes this family; it falls by `OWN_RATING`.
        overall: the overall rating at severities 1 to 5, 1 (bad) to 5 (excellent).
        side_effects: other ratings that the family lowers, likewise.
        step: of `IMAGING_STEPS`, where the distortion arises.
        variants: distortion functions as `module:name`, imported when they are first needed. Each
            takes an image uint8 (H, W, 3), a severity of `SEVERITIES` and a numpy Generator, and
            returns uint8 (H, W, 3). The first is the default.
        opposite: a family with which this one is never combined, because one undoes the other.
        augmentation: whether distorted views for training and for extracted features draw it.
    """

    rating: str
    overall: RatingsBySeverity
    side_effects: Mapping[str, RatingsBySeverity] = field(default_factory=dict)
    step: ImagingStep
    variants: tuple[str, ...]
    opposite: str | None = None
    augmentation: bool = False

    def __post_init__(self) -> None:
        for rating, values in self.ratings.items():
            if rating not in RATINGS:
                raise ValueError(f"rating must be one of {', '.join(RATINGS)}, found {rating!r}")
            if len(values) != len(SEVERITIES):
                raise ValueError(
                    f"{rating}: one rating for each of {len(SEVERITIES)} severities is needed,"
                    f" found {values}"
                )
        if not self.variants:
            raise ValueError("variants must name a distortion function, found none")

    @property
    def ratings(self) -> dict[str, RatingsBySeverity]:
        """Each rating that the family lowers, at severities 1 to 5."""
        return {self.rating: OWN_RATING, **self.side_effects, "overall": self.overall}


FAMILIES: Registry[Family] = Registry("distortion family")

LOW_SATURATION, HIGH_SATURATION = "saturation_low", "saturation_high"
BLACK_AND_WHITE = "black_and_white"  # low saturation of a picture that has no color at all

# Families of both sets whose name alone does not read well after a word of severity.
_FAMILY_WORDS = {
    BLACK_AND_WHITE: "lack of color",
    "color_cast": "color cast",
    "compression": "compression artifacts",
    "contrast_high": "excess contrast",
    "contrast_low": "loss of contrast",
    "defocus": "defocus blur",
    "low_resolution": "loss of resolution",
    "motion_blur": "motion blur",
    "quantization": "banding",
    HIGH_SATURATION: "oversaturation",
    LOW_SATURATION: "desaturation",
}


def family_words(name: str) -> str:
    """What a family is called in a sentence, alone or after a word of `SEVERITY_WORDS`."""
    return _FAMILY_WORDS.get(name, name.replace("_", " "))


# What a family does to a picture, after "The picture is", alone or after "slightly" or "very".
_EFFECTS = {
    BLACK_AND_WHITE: "in black and white",
    "banding": "banded",
    "blur": "blurred",
    "color_cast": "tinted",
    "compression": "marred by compression",
    "contrast_high": "harsh in contrast",
    "contrast_low": "low in contrast",
    "defocus": "out of focus",
    "haze": "hazy",
    "low_resolution": "low in resolution",
    "motion_blur": "blurred by movement",
    "noise": "noisy",
    "overexposure": "overexposed",
    "oversharpening": "oversharpened",
    "pixelation": "pixelated",
    "quantization": "banded",
    HIGH_SATURATION: "oversaturated",
    LOW_SATURATION: "low in saturation",
    "underexposure": "underexposed",
    "watermark": "watermarked",
}
# Without an adverb. A watermark is never meant as a look: it is reported whatever it costs, except
# in an excellent region.
UNGRADED = ("watermark", BLACK_AND_WHITE)


def effect_of(name: str) -> str:
    """What a family does to a picture: `blurred by movement`."""
    return _EFFECTS.get(name, f"affected by {family_words(name)}")


def augmentation_families() -> tuple[str, ...]:
    """The families that augmentation draws, in the order of their registration."""
    return tuple(name for name, family in FAMILIES.items() if family.augmentation)


def imaging_order() -> tuple[str, ...]:
    """All families in the order in which combined distortions are applied."""
    steps = {name: IMAGING_STEPS.index(family.step) for name, family in FAMILIES.items()}
    return tuple(sorted(steps, key=lambda name: steps[name]))


def are_opposite(first: str, second: str) -> bool:
    """Whether one of two families undoes the other."""
    return FAMILIES[first].opposite == second or FAMILIES[second].opposite == first


# The order of registration is that of prompts and of test examples; products depend on it, so new
# families go to the end. The overall ratings follow the structural similarity to the pristine image
# (docs/pipeline/teach.md), but are lower for grey images and strong compression.
FAMILIES.register(
    "noise",
    Family(
        rating="noise",
        overall=(4, 3, 2, 2, 1),
        step="sensor",
        variants=("rsfiqa.images.distort:noise",),
        augmentation=True,
    ),
)
FAMILIES.register(
    "blur",
    Family(
        rating="blur",
        overall=(4, 3, 2, 2, 1),
        step="lens",
        variants=("rsfiqa.images.distort:blur",),
        opposite="oversharpening",
        augmentation=True,
    ),
)
FAMILIES.register(
    "compression",
    Family(
        rating="artifact",
        overall=(4, 3, 3, 2, 1),
        side_effects={"blur": (5, 4, 4, 3, 3)},
        step="file",
        variants=("rsfiqa.images.distort:jpeg", "rsfiqa.images.distort:webp"),
        augmentation=True,
    ),
)
FAMILIES.register(
    "overexposure",
    Family(
        rating="color",
        overall=(4, 4, 3, 2, 1),
        step="light",
        variants=("rsfiqa.images.distort:overexposure",),
        opposite="underexposure",
    ),
)
FAMILIES.register(
    "underexposure",
    Family(
        rating="color",
        overall=(4, 3, 3, 2, 1),
        step="light",
        variants=("rsfiqa.images.distort:underexposure",),
        opposite="overexposure",
        augmentation=True,
    ),
)
FAMILIES.register(
    "contrast_high",
    Family(
        rating="color",
        overall=(4, 3, 3, 2, 2),
        step="light",
        variants=("rsfiqa.images.distort:contrast_high",),
        opposite="contrast_low",
    ),
)
FAMILIES.register(
    "contrast_low",
    Family(
        rating="color",
        overall=(4, 3, 3, 2, 1),
        step="light",
        variants=("rsfiqa.images.distort:contrast_low",),
        opposite="contrast_high",
    ),
)
FAMILIES.register(
    "saturation_high",
    Family(
        rating="color",
        overall=(4, 4, 3, 3, 2),
        step="light",
        variants=("rsfiqa.images.distort:saturation_high",),
        opposite="saturation_low",
    ),
)
FAMILIES.register(
    "saturation_low",
    Family(
        rating="color",
        overall=(4, 4, 4, 3, 3),
        step="light",
        variants=("rsfiqa.images.distort:saturation_low",),
        opposite="saturation_high",
        augmentation=True,
    ),
)
FAMILIES.register(
    "oversharpening",
    Family(
        rating="artifact",
        overall=(4, 3, 3, 2, 2),
        side_effects={"noise": (5, 4, 4, 3, 3)},
        step="software",
        variants=("rsfiqa.images.distort:oversharpening",),
        opposite="blur",
    ),
)
FAMILIES.register(
    "pixelation",
    Family(
        rating="artifact",
        overall=(3, 2, 2, 1, 1),
        side_effects={"blur": (4, 4, 3, 3, 2)},
        step="software",
        variants=("rsfiqa.images.distort:pixelation",),
    ),
)
FAMILIES.register(
    "quantization",
    Family(
        rating="artifact",
        overall=(4, 4, 3, 2, 2),
        side_effects={"color": (5, 4, 4, 3, 2)},
        step="software",
        variants=("rsfiqa.images.distort:quantization",),
    ),
)


@dataclass(frozen=True, kw_only=True)
class RealisticFamily:
    """A family of distortions as people name it in photographs.

    Attributes:
        rating: the rating of `RATINGS` that describes this family.
        step: of `IMAGING_STEPS`, where the distortion arises.
        variants: functions as `module:name`, imported when they are first needed. Each takes an
            image uint8 (H, W, 3), a strength and a numpy Generator, and returns uint8 (H, W, 3).
            The strengths of severities 1 to 5 are calibrated; see `images.realistic`.
        opposites: families with which this one is never combined, because one undoes the other.
    """

    rating: str
    step: ImagingStep
    variants: tuple[str, ...]
    opposites: tuple[str, ...] = ()


# Families of one imaging step are combined in the order of registration: haze, then exposure.
REALISTIC_FAMILIES: Registry[RealisticFamily] = Registry("realistic distortion family")


def _register_realistic(
    name: str, rating: str, step: ImagingStep, *variants: str, opposites: tuple[str, ...] = ()
) -> None:
    """Register a family whose functions are in the package of realistic distortions."""
    targets = tuple(f"rsfiqa.images.realistic.{variant}" for variant in variants)
    family = RealisticFamily(rating=rating, step=step, variants=targets, opposites=opposites)
    REALISTIC_FAMILIES.register(name, family)


_register_realistic("defocus", "blur", "lens", "lens:defocus", opposites=("oversharpening",))
_register_realistic(
    "motion_blur",
    "blur",
    "lens",
    "lens:camera_shake",
    "lens:subject_motion",
    opposites=("oversharpening",),
)
_register_realistic(
    "noise",
    "noise",
    "sensor",
    "sensor:sensor_noise",
    "sensor:denoised",
    "sensor:low_light",
    "sensor:salt_and_pepper",
)
_register_realistic(
    "compression",
    "artifact",
    "file",
    "files:jpeg",
    "files:double_jpeg",
    "files:webp",
    "files:avif",
)
_register_realistic("haze", "color", "light", "light:haze", opposites=("contrast_high",))
_register_realistic(
    "overexposure", "color", "light", "light:overexposure", opposites=("underexposure",)
)
_register_realistic(
    "underexposure", "color", "light", "light:underexposure", opposites=("overexposure",)
)
_register_realistic("color_cast", "color", "light", "light:color_cast")
_register_realistic(
    "low_resolution", "artifact", "software", "software:upscaled", "software:pixelated"
)
_register_realistic(
    "oversharpening",
    "artifact",
    "software",
    "software:halo_sharpening",
    opposites=("defocus", "motion_blur"),
)
_register_realistic(
    "contrast_high", "color", "software", "tone:contrast_high", opposites=("contrast_low", "haze")
)
_register_realistic(
    "contrast_low", "color", "software", "tone:contrast_low", opposites=("contrast_high",)
)
_register_realistic(
    "saturation_high", "color", "software", "tone:saturation_high", opposites=("saturation_low",)
)
_register_realistic(
    "saturation_low", "color", "software", "tone:saturation_low", opposites=("saturation_high",)
)
_register_realistic("banding", "artifact", "software", "tone:banding")
_register_realistic("watermark", "artifact", "software", "overlay:watermark")
