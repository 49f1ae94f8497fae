"""Whether a GPU may be there, known without importing torch."""

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

AMD = Path("/dev/kfd")  # of the driver ROCm
NVIDIA = "libcuda.so.1"  # of the driver, also under WSL


def may_be_used(device: str) -> bool:
    """Whether an option `--device` may mean a device other than the CPU; torch knows for sure.

    Args:
        device: auto, cuda, mps or cpu.
    """
    return device != "cpu" and (device != "auto" or may_exist())


def may_exist(
    *,
    platform: str = sys.platform,
    amd: Path = AMD,
    load_library: Callable[[str], object] = ctypes.CDLL,
) -> bool:
    """False where no GPU can be used by torch's device cuda; True where torch must say.

    Args:
        platform: as `sys.platform`.
        amd: device that exists where there is an AMD GPU.
        load_library: opens a shared library by name; raises OSError where there is none.
    """
    if platform == "darwin":
        return False
    if platform != "linux" or amd.exists():
        return True
    try:
        load_library(NVIDIA)
    except OSError:
        return False
    return True
