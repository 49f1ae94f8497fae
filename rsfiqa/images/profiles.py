"""Color profiles: transforms from the profile that is embedded in a picture to sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

# Mode of the pixels that a transform takes, by the color space of the profile.
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC  # with black point compensation, as editors do
LEVELS = 9  # of each channel, at which a profile is compared with sRGB
SAME = 2  # 8-bit levels; variants of sRGB deviate by 1, Display P3 by 50


class BrokenProfileError(Exception):
    """A profile that cannot be read, or that is not for pixels of this mode."""


@lru_cache(maxsize=32)  # a collection has few profiles, a process scores many pictures
def transform_to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform of pixels of a mode (RGB, L, CMYK) to sRGB; None if they are sRGB already.

    Raises:
        BrokenProfileError: the profile cannot be used.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if MODES.get(space) == mode:
            transform = _transform(source, mode)
            return None if mode != "CMYK" and _is_srgb(transform, mode) else transform
    except Exception as error:  # also TypeError, ValueError, AttributeError
        raise BrokenProfileError from error
    raise BrokenProfileError(f"for {space}, not for {mode}")


@lru_cache(maxsize=1)
def lab_to_srgb() -> ImageCms.ImageCmsTransform:
    """The transform of pixels of mode LAB to sRGB."""
    return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def _transform(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    srgb = ImageCms.createProfile("sRGB")
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(source, srgb, mode, "RGB", INTENT, flags)


def _is_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform leaves colors all over the range as they are."""
    levels = np.linspace(0, 255, LEVELS).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    if mode == "L":
        grid = np.arange(256, dtype=np.uint8).reshape(1, -1, 1).repeat(3, axis=2)
    probe = Image.fromarray(grid) if mode == "RGB" else Image.fromarray(grid[..., 0])
    converted = np.asarray(ImageCms.applyTransform(probe, transform))
    return bool(np.abs(converted.astype(int) - grid).max() <= SAME)
