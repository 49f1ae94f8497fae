"""The RSFIQA model: torch without any input or output of files."""

from rsfiqa.model.batch import Batch, collate
from rsfiqa.model.loss import LossWeights, localization_loss, plcc_loss, quality_loss, ranking_loss
from rsfiqa.model.mhf import MHF
from rsfiqa.model.rsa import RSA, VARIANTS, Prediction

__all__ = [
    "MHF",
    "RSA",
    "VARIANTS",
    "Batch",
    "LossWeights",
    "Prediction",
    "collate",
    "localization_loss",
    "plcc_loss",
    "quality_loss",
    "ranking_loss",
]
