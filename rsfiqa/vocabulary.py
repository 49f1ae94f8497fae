"""The words of the field: ratings, severities, distortion families, variants of the model."""

from typing import Literal

ITU_LEVELS = ("bad", "poor", "fair", "good", "excellent")  # ITU-R BT.500, rated 1 to 5


RATINGS = ("color", "noise", "artifact", "blur", "overall")


SEVERITY_WORDS = ("", "faint", "slight", "clear", "strong", "extreme")  # severity 0 to 5


FAMILIES = (
    "noise",
    "blur",
    "compression",
    "overexposure",
    "underexposure",
    "contrast_high",
    "contrast_low",
    "saturation_high",
    "saturation_low",
    "oversharpening",
    "pixelation",
    "quantization",
)


Variant = Literal["full", "no_mhf", "no_mllm", "no_rsa", "none"]
