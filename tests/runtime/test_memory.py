import gc
import platform
import subprocess
import sys

import pytest

from rsfiqa.runtime.memory import without_collection

LOOP = """
import resource
import torch
from rsfiqa.runtime.memory import tune_malloc

{first}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def make():
    return torch.ones({size} * 2 ** 18)

make(), make()
before = faults()
for _ in range(30):
    make()
print(faults() - before)
"""


def faults(first: str, size: int) -> int:
    """Page faults of thirty tensors of `size` MiB, allocated and freed one after the other."""
    code = LOOP.format(first=first, size=size)
    return int(subprocess.run((sys.executable, "-c", code), capture_output=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tunes glibc's malloc")
def test_freed_memory_is_reused():
    untuned = faults("", 40)
    assert faults("tune_malloc()", 40) > 0.9 * untuned  # above the threshold
    assert faults("tune_malloc(large=True)", 40) < 0.3 * untuned
    assert faults("tune_malloc()", 16) < 0.3 * untuned * 16 / 40


def test_garbage_is_collected_again_afterwards():
    @without_collection()
    def fail():
        assert not gc.isenabled()
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    assert gc.isenabled()
    gc.disable()
    try:
        with without_collection():
            pass
        assert not gc.isenabled()  # as before
    finally:
        gc.enable()
