"""The real vLLM, on a CPU, with a tiny model of the production architecture: make test-vllm."""

import os
import subprocess

import pytest

from rsfiqa.caption.options import ServerOptions
from rsfiqa.captioners.vlm.server import Server
from tests.support.captioning import TINY_QWEN, uncaptioned_folder
from tests.support.workflow import ROOT

PYTHON = ROOT / ".venv-vllm/bin/python"


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The folder of a tiny random Qwen2.5-VL."""
    if not PYTHON.is_file():
        pytest.skip("no .venv-vllm; run make install-vllm")
    os.environ |= {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    folder = tmp_path_factory.mktemp("model") / TINY_QWEN
    script = ROOT / "tests/support/tiny_qwen.py"
    subprocess.run([PYTHON, script, folder], check=True)
    return folder


@pytest.fixture(scope="session")
def served(model):
    """Options of the caption stage: the model, and a server of it on a CPU."""
    server = {
        "weights": str(model),
        "python": str(PYTHON),
        "dtype": "float32",
        "max_model_len": 8192,
        "arguments": "--enforce-eager",
    }
    return {"model": TINY_QWEN, "server": server}


@pytest.fixture
def folder(tmp_path_factory, tmp_path):
    """The folder of a data set with regions of a few small pictures, without captions."""
    return uncaptioned_folder(tmp_path_factory, tmp_path)


@pytest.fixture(scope="session")
def endpoint(served, tmp_path_factory):
    """A server that several tests share."""
    log_file = tmp_path_factory.mktemp("logs") / "server.log"
    with Server(ServerOptions(**served["server"]), TINY_QWEN, log_file) as server:
        yield server.url
