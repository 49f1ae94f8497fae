"""Distortions of the lens: light from one point falls on many pixels."""

import cv2
import numpy as np

from rsfiqa.images.realistic.linear import to_light, to_pixels

SAMPLES = 8  # of a disc's kernel along each side of a pixel
POINTS = 400  # of a trajectory
INERTIA = 0.985  # fraction of its velocity that a shaking hand keeps from point to point


def defocus(image: np.ndarray, radius: float, _random: np.random.Generator) -> np.ndarray:
    """Out of focus: each point becomes a disc, and highlights become bright discs.

    Args:
        image: uint8 (H, W, 3).
        radius: of the disc, pixels.
    """
    return _blurred(image, disc(radius))


def camera_shake(image: np.ndarray, extent: float, random: np.random.Generator) -> np.ndarray:
    """Motion blur along the curved path of a camera that is held by hand.

    Args:
        image: uint8 (H, W, 3).
        extent: of the path from end to end, pixels.
        random: draws the path.
    """
    velocity = np.zeros((POINTS, 2))
    velocity[0] = random.normal(size=2)
    for i in range(1, POINTS):
        velocity[i] = INERTIA * velocity[i - 1] + 0.15 * random.normal(size=2)
    return _blurred(image, trace(np.cumsum(velocity, axis=0), extent))


def subject_motion(image: np.ndarray, extent: float, random: np.random.Generator) -> np.ndarray:
    """Motion blur along a straight line in any direction, as of something that moves past.

    Args:
        image: uint8 (H, W, 3).
        extent: of the line, pixels.
        random: draws the direction.
    """
    angle = random.uniform(0, np.pi)
    line = np.linspace(0, 1, POINTS)[:, None] * (np.cos(angle), np.sin(angle))
    return _blurred(image, trace(line, extent))


def disc(radius: float) -> np.ndarray:
    """The kernel of a disc, float32 (K, K), K odd, of sum 1; pixels count by covered area."""
    half = int(np.ceil(radius))
    fine = (np.arange((2 * half + 1) * SAMPLES) + 0.5) / SAMPLES - half - 0.5
    inside = np.hypot(fine[:, None], fine[None]) <= max(radius, 0.5)
    blocks = inside.reshape(2 * half + 1, SAMPLES, 2 * half + 1, SAMPLES).sum(axis=(1, 3))
    kernel: np.ndarray = (blocks / blocks.sum()).astype(np.float32)
    return kernel


def trace(points: np.ndarray, extent: float) -> np.ndarray:
    """The kernel of a path, float32 (K, K), K odd, of sum 1, around its centre of mass.

    Args:
        points: float (N, 2), at equal times.
        extent: largest distance between two points in the kernel, pixels.
    """
    centred = points - points.mean(axis=0)
    ends = centred[::8]
    largest = np.hypot(*(ends[:, None] - ends[None]).transpose(2, 0, 1)).max()
    centred *= extent / largest
    half = int(np.ceil(np.abs(centred).max())) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    whole = np.floor(centred).astype(int)
    rest = centred - whole
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):  # divided among the four nearest pixels
        weight = np.abs(1 - dy - rest[:, 0]) * np.abs(1 - dx - rest[:, 1])
        np.add.at(kernel, (whole[:, 0] + dy + half, whole[:, 1] + dx + half), weight)
    normal: np.ndarray = (kernel / kernel.sum()).astype(np.float32)
    return normal


def _blurred(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    light = cv2.filter2D(to_light(image), -1, kernel, borderType=cv2.BORDER_REFLECT)
    return to_pixels(light)
