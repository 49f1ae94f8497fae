"""A vLLM server without a GPU, and the tiny model that the benches serve with it."""

import os
import sys
from pathlib import Path

from benchmarks.figures import ROOT, run

PYTHON = ROOT / ".venv-vllm/bin/python"


def make_ready() -> None:
    """Set what such a server wants of the environment.

    Raises:
        SystemExit: it is not installed.
    """
    if not PYTHON.is_file():
        sys.exit(f"{PYTHON}: no such file; run make install-vllm")
    os.environ |= {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}


def write_tiny_model(folder: Path) -> None:
    """Write the tiny random Qwen2.5-VL of the tests."""
    run(PYTHON, ROOT / "tests/support/tiny_qwen.py", folder)
