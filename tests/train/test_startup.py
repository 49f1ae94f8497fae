"""What a training on frozen features imports: timm's import takes as long as a small training."""

from tests.support.imports import imported_by_command
from tests.support.pipeline import SEED, TEST_FRACTION

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


def test_a_training_on_frozen_features_imports_only_what_it_needs(root, tmp_path):
    options = {
        "output": tmp_path,
        "min-images": 2,
        "epochs": 1,
        "ensemble-heads": 2,
        "width": 8,
        "hidden": 8,
        "test-fraction": TEST_FRACTION,
        "seed": SEED,
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    assert imported_by_command("train", str(root / "tiny"), *flags).isdisjoint(UNNEEDED)
    assert (tmp_path / "card.json").is_file()
