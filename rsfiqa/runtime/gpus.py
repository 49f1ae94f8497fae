"""Whether a GPU may be there, known without importing torch."""

import ctypes
import sys
from pathlib import Path

AMD = Path("/dev/kfd")  # of the driver ROCm
NVIDIA = "libcuda.so.1"  # of the driver, also under WSL


def may_exist() -> bool:
    """False where no GPU can be used by torch's device cuda; True where torch must say."""
    if sys.platform == "darwin":
        return False
    if sys.platform != "linux" or AMD.exists():
        return True
    try:
        ctypes.CDLL(NVIDIA)
    except OSError:
        return False
    return True
