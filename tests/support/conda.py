"""A stand-in for conda: it answers Snakemake, and fills environments as a test likes."""

import os
from pathlib import Path

import pytest

# $file is the environment file, $prefix the folder that is to hold the environment
CONDA = """#!/bin/bash
case "$*" in
  --version) echo "conda 25.1.0" ;;
  "info --json") echo '{{"conda_prefix": "{root}", "platform": "linux-64"}}' ;;
  *channel_priority*) echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  *create*)
    while [ $# -gt 0 ]; do
      case "$1" in --file) file="$2" ;; --prefix) prefix="$2" ;; esac
      shift
    done
    {create} ;;
esac
"""
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


def install(root: Path, create: str, patch: pytest.MonkeyPatch) -> None:
    """Put the stand-in into `root`, first on the path.

    Args:
        root: an empty folder, made if need be.
        create: shell commands that fill "$prefix" as "$file" describes.
        patch: of the environment.
    """
    binaries = root / "bin"
    binaries.mkdir(parents=True)
    conda = binaries / "conda"
    conda.write_text(CONDA.format(root=root, create=create), "utf-8")
    conda.chmod(0o755)
    (binaries / "activate").write_text(ACTIVATE, "utf-8")
    patch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
