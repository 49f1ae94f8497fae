import signal

import numpy as np
import pytest
from PIL import Image

from tests.support.pipeline import made


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return made(tmp_path_factory) / "train/tiny.full/split-00"


@pytest.fixture
def pictures(tmp_path):
    """Four pictures, one of them damaged, one of them hidden, in two folders."""
    root = tmp_path / "pictures"
    (root / "b").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("a.png", "b/c.png", ".hidden.png"):
        Image.fromarray(random.integers(0, 256, (70, 90, 3)).astype(np.uint8)).save(root / name)
    (root / "bad.jpg").write_text("no picture")
    (root / "notes.md").write_text("no picture either")
    return root


@pytest.fixture
def interruptible():
    """What is started takes Ctrl-C; tests that run in the background ignore it."""
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, ignored)
