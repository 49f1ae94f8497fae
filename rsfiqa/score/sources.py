"""Sources of images for a scorer: files, bytes, Pillow images, arrays and tensors."""

import os
import tempfile
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rsfiqa.errors import ImageError, InputError, first_line
from rsfiqa.images import load
from rsfiqa.images.load import LoadedImage

Bytes = bytes | bytearray | memoryview
Source = str | os.PathLike[str] | Bytes | IO[bytes] | Image.Image | np.ndarray | Tensor

CHANNELS = (1, 3, 4)  # grey, sRGB, sRGB with opacity


def load_source(source: Source) -> LoadedImage:
    """An image from wherever it comes.

    Args:
        source: path, content of an image file, binary file, Pillow image, array or tensor. Arrays
            are uint8 sRGB of shape (H, W, 3), grey (H, W) or (H, W, 1), or (H, W, 4) with opacity.
            Tensors have torchvision's layout: uint8 or float in [0, 1], (C, H, W) with C of 1, 3
            or 4, or (H, W).

    Raises:
        ImageError: a file that cannot be read.
        InputError: another type, shape or range, or no pixels.
    """
    if isinstance(source, Tensor):
        source = _from_tensor(source)
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        if not (source.width and source.height):
            raise InputError(f"image: must have pixels, found {source.size}; leave it out")
        return load.from_pil(source)
    if isinstance(source, Bytes):
        return _from_bytes(bytes(source))
    if isinstance(source, str | os.PathLike):
        return _from_path(source)
    if hasattr(source, "read"):
        return _from_bytes(_read(source))
    raise InputError(
        "image: must be a path, bytes, a binary file, a Pillow image, an array or a tensor, found"
        f" {type(source).__name__}; convert it"
    )


def _from_path(source: str | os.PathLike[str]) -> LoadedImage:
    path = os.fspath(source)
    if isinstance(path, bytes):  # of os.scandir(b"..."), say
        path = os.fsdecode(path)
    return load.load_image(Path(path))


def _read(file: IO[bytes]) -> bytes:
    """All bytes of a binary file, from its beginning where it can be rewound, as Pillow reads."""
    try:
        if file.seekable():
            file.seek(0)
        content: object = file.read()
    except (OSError, ValueError, AttributeError) as error:  # ValueError: it is closed
        raise ImageError(f"unreadable file ({first_line(error)})") from error
    if not isinstance(content, Bytes):
        raise InputError("image: must be a binary file, found one of text; open it with mode 'rb'")
    return bytes(content)


def _from_bytes(content: bytes) -> LoadedImage:
    """The image of a file's content, through a file, so that it is read as any other."""
    try:
        with tempfile.NamedTemporaryFile(prefix="rsfiqa-") as file:
            file.write(content)
            file.flush()
            return load.load_image(Path(file.name))
    except OSError as error:
        raise ImageError(f"cannot be read ({first_line(error)})") from error


def _from_array(array: np.ndarray) -> LoadedImage:
    image = array[..., None] if array.ndim == 2 else array
    if array.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in CHANNELS:
        raise InputError(
            f"image: must be uint8 (H, W, 3), found {array.dtype} {array.shape}; convert it"
        )
    if not array.size:
        raise InputError(f"image: must have pixels, found {array.shape}; leave it out")
    pixels = np.require(image, requirements=["C", "W"])  # torch needs both
    if image.shape[2] != 3:
        return load.from_pil(
            Image.fromarray(np.squeeze(pixels, 2) if image.shape[2] == 1 else pixels)
        )
    return LoadedImage(pixels, pixels.shape[1::-1], converted=False)


def _from_tensor(tensor: Tensor) -> np.ndarray:
    """A tensor in torchvision's layout as an array uint8 (H, W, C)."""
    image = tensor[None] if tensor.ndim == 2 else tensor
    known = tensor.is_floating_point() or tensor.dtype == torch.uint8
    if image.ndim != 3 or image.shape[0] not in CHANNELS or not known:
        raise InputError(
            "image: must be a tensor uint8 or float (3, H, W), found"
            f" {tensor.dtype} {tuple(tensor.shape)}; permute it, or score a batch by scorer(batch)"
        )
    return to_uint8(image, "image").permute(1, 2, 0).cpu().numpy()


def to_uint8(images: Tensor, name: str) -> Tensor:
    """Images in [0, 1] as uint8; those of uint8 as they are.

    Args:
        images: uint8 or float, of any shape.
        name: for the message.

    Raises:
        InputError: values outside [0, 1].
    """
    if not images.is_floating_point():
        return images
    if images.numel() and not (images.min() >= 0 and images.max() <= 1):
        raise InputError(
            f"{name}: must lie in [0, 1], found [{images.min():g}, {images.max():g}]; scale"
            f" {'them' if name == 'images' else 'it'}"
        )
    wide = images.detach().to(torch.promote_types(images.dtype, torch.float32))
    return (wide * 255).round().byte()
