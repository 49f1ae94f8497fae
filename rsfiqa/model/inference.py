"""Scores of many images by a trained model, in chunks that fit into memory."""

import torch
from torch import Tensor

from rsfiqa.model.batch import Batch
from rsfiqa.model.rsa import RSA


@torch.inference_mode()
def predict_scores(model: RSA, data: Batch, chunk: int = 256) -> Tensor:
    """Predicted quality, float (N,), on the device of the model; higher is better.

    Args:
        model: in evaluation mode.
        data: N images, on any device.
        chunk: largest number of images on the device of the model at a time.
    """
    device = model.mean_quality.device
    parts = torch.arange(len(data)).split(chunk)
    return torch.cat([model(data.take(part).to(device)).score for part in parts])
