import torch

from rsfiqa.model.inference import predict_batch
from tests.support.tiny_model import random_batch, random_model


def test_predictions_do_not_depend_on_the_chunk() -> None:
    model, batch = random_model(), random_batch(7)
    expected = model(batch).quality
    assert not predict_batch(model, batch).requires_grad
    for chunk in (1, 3, 7, 256):
        torch.testing.assert_close(predict_batch(model, batch, chunk), expected.detach())
