"""Sums over regions and filters of images, of operators that ONNX has."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def region_masks(labels: Tensor, numbers: Tensor) -> Tensor:
    """Which pixels belong to each region: float32 (R, H, W), 0 or 1.

    Args:
        labels: int64 (H, W), label map.
        numbers: int64 (R,), 0 to R - 1.
    """
    return (labels == numbers[:, None, None]).float()


def region_sums(masks: Tensor, values: Sequence[Tensor]) -> list[Tensor]:
    """The sum of each of several values (H, W) over each region: float32 (R,) each.

    Rows are summed first, then their sums: one sum over a large image loses digits.
    """
    columns = torch.stack([value.float() for value in values], 2)  # (H, W, K)
    return list((masks.transpose(0, 1) @ columns).sum(0).unbind(1))


def pooling_matrix(size: int, cells: int, like: Tensor) -> Tensor:
    """The weights of adaptive average pooling along one axis: float32 (cells, size).

    Args:
        size: number of pixels.
        cells: number of means.
        like: a tensor on the device of the result.
    """
    pixel = torch.arange(size, device=like.device)
    cell = torch.arange(cells, device=like.device)[:, None]
    start = cell * size // cells
    stop = ((cell + 1) * size + cells - 1) // cells
    inside = ((pixel >= start) & (pixel < stop)).float()
    return inside / (stop - start).float()


def pool(values: Tensor, height: int, width: int) -> Tensor:
    """Adaptive average pooling of (..., H, W) to (..., height, width)."""
    down = pooling_matrix(values.shape[-2], height, values)
    across = pooling_matrix(values.shape[-1], width, values)
    return down @ values @ across.T


def membership(size: int, cells: int, like: Tensor) -> Tensor:
    """Which of `cells` cells each of `size` pixels lies in: float32 (cells, size), 0 or 1."""
    of = torch.arange(size, device=like.device) * cells // size
    return (of == torch.arange(cells, device=like.device)[:, None]).float()


def nearest(labels: Tensor, height: int, width: int) -> Tensor:
    """A label map (h, w) resized to (height, width) by nearest neighbor."""
    rows = torch.arange(height, device=labels.device) * labels.shape[0] // height
    columns = torch.arange(width, device=labels.device) * labels.shape[1] // width
    return labels[rows][:, columns]


def reflected(image: Tensor, rows: int, columns: int) -> Tensor:
    """An image (H, W) with a border that mirrors it without repeating its edge: (1, 1, ., .)."""
    return functional.pad(image[None, None], (columns, columns, rows, rows), mode="reflect")


def filtered(image: Tensor, kernel: Tensor) -> Tensor:
    """The correlation of an image (H, W) with a kernel of odd sides, mirrored at its border."""
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    return functional.conv2d(reflected(image, rows, columns), kernel[None, None])[0, 0]


def difference(image: Tensor, axis: int) -> Tensor:
    """Forward difference along one axis of (H, W), 0 at the far border: float32 (H, W)."""
    if axis:
        return functional.pad(image[:, 1:] - image[:, :-1], (0, 1))
    return functional.pad(image[1:] - image[:-1], (0, 0, 0, 1))


def magnitude(x: Tensor, y: Tensor) -> Tensor:
    """Length of the vectors (x, y)."""
    return (x * x + y * y).sqrt()
