"""Whether a GPU may be there, on machines of each kind."""

import pytest

from rsfiqa.runtime import gpus


class Libraries:
    """Shared libraries of a machine.

    Args:
        known: names of those that can be loaded.
    """

    def __init__(self, *known: str) -> None:
        self.known = known
        self.loaded: list[str] = []

    def load(self, name: str) -> None:
        """Load one, as `ctypes.CDLL`."""
        self.loaded.append(name)
        if name not in self.known:
            raise OSError(f"{name}: cannot open shared object file")


@pytest.mark.parametrize(
    ("platform", "amd", "known", "expected", "loaded"),
    [
        ("linux", False, (), False, [gpus.NVIDIA]),
        ("linux", False, (gpus.NVIDIA,), True, [gpus.NVIDIA]),
        ("linux", True, (), True, []),
        ("darwin", False, (gpus.NVIDIA,), False, []),
        ("win32", False, (), True, []),
    ],
)
def test_a_gpu_may_exist_where_a_driver_does(tmp_path, platform, amd, known, expected, loaded):
    device, libraries = tmp_path / "kfd", Libraries(*known)
    if amd:
        device.touch()
    found = gpus.may_exist(platform=platform, amd=device, load_library=libraries.load)
    assert (found, libraries.loaded) == (expected, loaded)


def test_this_machine_is_asked_by_default():
    assert isinstance(gpus.may_exist(), bool)
