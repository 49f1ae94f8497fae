"""Predictions for many images, in chunks that fit into memory."""

import torch
from torch import Tensor

from rsfiqa.model.batch import Batch
from rsfiqa.model.rsa import RSA


@torch.inference_mode()
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
