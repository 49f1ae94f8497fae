from collections.abc import Callable

import torch

from rsfiqa.model import RSA, Batch
from rsfiqa.model.inference import predict_scores


def test_scores_do_not_depend_on_the_chunk(
    make_batch: Callable[..., Batch], make_model: Callable[..., RSA]
) -> None:
    model, batch = make_model(), make_batch(7)
    expected = model(batch).score
    assert not predict_scores(model, batch).requires_grad
    for chunk in (1, 3, 7, 256):
        torch.testing.assert_close(predict_scores(model, batch, chunk), expected.detach())
