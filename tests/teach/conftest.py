import subprocess
import sys
from pathlib import Path

import pytest
import skimage
from PIL import Image

from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.segment import stage as segment
from rsfiqa.segment.options import SegmentOptions


@pytest.fixture(scope="session")
def kodak(tmp_path_factory) -> Path:
    """A data set with three small photographs, of which 03.png is kept for tests."""
    root = tmp_path_factory.mktemp("kodak")
    for i, name in enumerate(("01.png", "02.png", "03.png")):
        part = skimage.data.coffee()[60 + 80 * i : 156 + 80 * i, 100 * i : 128 + 100 * i]
        Image.fromarray(part).save(root / name)
    folder = root / "results" / "kodak"
    options = PrepareOptions(layout="kodak", root=str(root))
    prepare.run(folder, options, shard_size=2, max_failed_fraction=0, seed=0)
    segment.run(folder, SegmentOptions(max_regions=6), max_failed_fraction=0)
    return folder


@pytest.fixture(scope="session")
def made(kodak, tmp_path_factory) -> Path:
    """Examples of those photographs."""
    folder = tmp_path_factory.mktemp("teach")
    make(folder, kodak)
    return folder


def make(
    folder: Path, *sources: Path, seed: int = 0, max_failed_fraction: float = 0, **options
) -> None:
    from rsfiqa.teach import data
    from rsfiqa.teach.options import TeachDataOptions

    chosen = {"views": 5, "validation_fraction": 0.5} | options
    wanted = TeachDataOptions(**chosen)
    data.run(folder, sources, wanted, seed=seed, max_failed_fraction=max_failed_fraction)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """The folder of a tiny random Qwen2.5-VL."""
    folder = tmp_path_factory.mktemp("model") / "tiny-qwen"
    script = Path(__file__).parents[1] / "support/tiny_qwen.py"
    subprocess.run([sys.executable, script, folder], check=True)
    return folder
