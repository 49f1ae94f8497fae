"""What a training on frozen features imports: a small one takes less time than timm's import."""

import subprocess
import sys
from pathlib import Path

from tests.support.pipeline import SEED, TEST_FRACTION

ROOT = Path(__file__).resolve().parents[2]
UNNEEDED = (
    "huggingface_hub",
    "matplotlib",
    "scipy",
    "skimage",
    "sklearn",
    "timm",
    "torch._dynamo",
    "torchvision",
    "transformers",
)
PROGRAM = """
import sys
from rsfiqa.cli import main

assert main(sys.argv[2:]) == 0
print(*[name for name in sys.argv[1].split(",") if name in sys.modules])
"""


def test_a_training_on_frozen_features_imports_what_it_needs(root, tmp_path):
    flags = {
        "output": tmp_path,
        "min-images": 2,
        "epochs": 1,
        "ensemble-heads": 2,
        "width": 8,
        "hidden": 8,
        "test-fraction": TEST_FRACTION,
        "seed": SEED,
    }
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    ended = subprocess.run(
        [
            sys.executable, "-c", PROGRAM, ",".join(UNNEEDED),
            "train", str(root / "tiny"), *arguments,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert (tmp_path / "card.json").is_file()
    assert ended.stdout.split() == []
