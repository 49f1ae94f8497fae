"""What a benchmark of frozen checkpoints imports."""

import shutil

from tests.support.imports import imported_by_command
from tests.support.pipeline import SEED, TEST_FRACTION, made

UNNEEDED = (
    "huggingface_hub",
    "matplotlib",
    "sklearn",
    "timm",
    "torch._dynamo",
    "torchvision",
    "transformers",
)


def test_a_benchmark_of_frozen_checkpoints_imports_only_what_it_needs(tmp_path_factory, tmp_path):
    results = shutil.copytree(made(tmp_path_factory), tmp_path / "results")
    shutil.rmtree(results / "benchmark")
    options = {
        "train": "tiny",
        "test": "tiny",
        "number": 2,
        "test-fraction": TEST_FRACTION,
        "seed": SEED,
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    assert imported_by_command("benchmark", str(results), *flags).isdisjoint(UNNEEDED)
    assert (results / "benchmark/tiny.tiny.full.parquet").is_file()
