import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.teach import make_examples, make_photographs


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    """A data set with three small photographs, of which 03.png is for testing."""
    return make_photographs(tmp_path_factory.mktemp("kodak"))


@pytest.fixture(scope="session")
def folder(photographs, tmp_path_factory) -> Path:
    """Examples of those photographs."""
    folder = tmp_path_factory.mktemp("teach")
    make_examples(folder, photographs)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """The folder of a tiny random Qwen2.5-VL."""
    folder = tmp_path_factory.mktemp("model") / "tiny-qwen"
    script = Path(__file__).parents[1] / "support/tiny_qwen.py"
    subprocess.run([sys.executable, script, folder], check=True)
    return folder
