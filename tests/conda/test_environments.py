"""Every rule in an environment with the pins of its file and no more: make test-conda."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import conda
from tests.support.workflow import ROOT, Workflow

MAKE = f'{sys.executable} {ROOT / "tests/support/make_environment.py"} "$file" "$prefix"'
RULES = {"prepare", "segment", "caption", "embed", "extract", "train", "benchmark", "report"}
TINY = ROOT / "tests/support/tiny_qwen.py"


@pytest.fixture(scope="session", autouse=True)
def stand_in(tmp_path_factory):
    """A conda that fills environments by pip."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONPATH", raising=False)
        conda.install(tmp_path_factory.mktemp("stand-in") / "conda", MAKE, patch)
        yield


@pytest.fixture(scope="session")
def environments(tmp_path_factory):
    """The folder that holds the environments of all tests."""
    return tmp_path_factory.mktemp("environments")


def run(workflow: Workflow, environments: Path, *arguments: str) -> None:
    """Run the workflow, each rule in its environment."""
    prefix = ("--use-conda", "--conda-prefix", str(environments))
    found = workflow.snakemake(*prefix, *arguments)
    assert found.returncode == 0, found.stdout


def environment(environments: Path, package: str) -> Path:
    """The environment that has a package."""
    (found,) = environments.glob(f"*/lib/python*/site-packages/{package}")
    return found.parents[3]


def stages(folder: Path) -> set[str]:
    """The stages that an environment's interpreter has run."""
    calls = (folder / "calls").read_text("utf-8")
    return set(re.findall(r"'-m', 'rsfiqa', '(\w+)'", calls))


def test_every_rule_runs_with_the_pins_of_the_core(environments, tmp_path):
    run(Workflow(tmp_path), environments)
    folder = environment(environments, "segment_anything")
    assert stages(folder) == RULES
    assert (tmp_path / "results/report/index.html").is_file()
    absent = subprocess.run(
        [folder / "bin/python", "-c", "import rsfiqa"], cwd=tmp_path, check=False
    )
    assert absent.returncode == 1  # the rules found the package in the checkout


def test_captions_of_an_own_server_with_the_pins_of_the_server(environments, tmp_path, monkeypatch):
    caption = {
        "backend": "vllm",
        "model": "tiny-qwen",
        "max_pixels": 50_000,
        "max_tokens": 400,
        "server": {
            "weights": str(tmp_path / "tiny-qwen"),
            "dtype": "float32",
            "arguments": "--enforce-eager",
        },
    }
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "1")
    gpus = dict.fromkeys(("segment", "caption", "embed", "extract", "train"), 0)
    subprocess.run([sys.executable, TINY, tmp_path / "tiny-qwen"], check=True)
    workflow = Workflow(tmp_path, caption=caption, gpus=gpus)
    run(workflow, environments, "--until", "caption")
    assert stages(environment(environments, "vllm")) == {"caption"}
    shards = sorted(path.name for path in (tmp_path / "results/tiny/caption").glob("0*.parquet"))
    assert shards == [
        "00000.failures.parquet",
        "00000.parquet",
        "00001.failures.parquet",
        "00001.parquet",
    ]
