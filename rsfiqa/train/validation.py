"""The metric that chooses the best epoch."""

import math

from rsfiqa.model import RSA
from rsfiqa.model.inference import predict_batch
from rsfiqa.samples import Samples


def validation_srcc(model: RSA, data: Samples) -> float:
    """Compute the SRCC of a model on validation images.

    Returns:
        -1 where the SRCC is undefined: the scores are constant or not finite.
    """
    from rsfiqa import metrics  # takes half a second, which most trainings do not need

    srcc = metrics.srcc(predict_batch(model, data.batch).cpu().numpy(), data.quality)
    return -1.0 if math.isnan(srcc) else srcc
