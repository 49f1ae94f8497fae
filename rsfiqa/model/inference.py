"""Inference: predictions in float32 without gradients, whatever the caller has set."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from rsfiqa.model.batch import Batch
from rsfiqa.model.rsa import RSA


@contextmanager
def inference() -> Iterator[None]:
    """No gradients, and no lower precision by a caller's `torch.autocast`."""
    with (
        torch.inference_mode(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield


@inference()
def predict_batch(model: RSA, batch: Batch, chunk: int = 256) -> Tensor:
    """Predicted quality, float (N,), on the device of the model; higher is better.

    Args:
        model: in evaluation mode.
        batch: N images, on any device.
        chunk: largest number of images on the device of the model at a time.
    """
    device = model.mean_quality.device
    chunks = torch.split(torch.arange(len(batch)), chunk)
    return torch.cat([model(batch.take(index).to(device)).quality for index in chunks])
