"""A small random model of segment-anything, and its checkpoint."""

from pathlib import Path

import pytest
import torch
from segment_anything.build_sam import _build_sam
from segment_anything.modeling import Sam

from rsfiqa.segmenters.sam import checkpoint as sam_checkpoint

SIZES = {
    "encoder_embed_dim": 96,
    "encoder_depth": 2,
    "encoder_num_heads": 3,
    "encoder_global_attn_indexes": [1],
}


def write_checkpoint(path: Path) -> Path:
    """A checkpoint file of a small random model of segment-anything's classes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(_build_sam(**SIZES).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of the model."""
    return write_checkpoint(tmp_path_factory.mktemp("sam") / "small.pth")


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> Sam:
    """The model, on the CPU."""
    return sam_checkpoint.load(checkpoint, torch.device("cpu"))
