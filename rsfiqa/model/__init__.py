"""The model of RSFIQA and its inputs: torch, without input or output of files."""

from rsfiqa.model.assemble import (
    ImageInputs,
    batch_images,
    common_images,
    image_inputs,
    with_layouts,
)
from rsfiqa.model.batch import Batch, collate
from rsfiqa.model.loss import (
    LossWeights,
    joint_loss,
    localization_loss,
    plcc_loss,
    quality_loss,
    ranking_loss,
)
from rsfiqa.model.mhf import MHF
from rsfiqa.model.rsa import RSA, Prediction
from rsfiqa.region_layout import RegionLayout, region_layout
from rsfiqa.vocabulary import VARIANTS

__all__ = [
    "MHF",
    "RSA",
    "VARIANTS",
    "Batch",
    "ImageInputs",
    "LossWeights",
    "Prediction",
    "RegionLayout",
    "batch_images",
    "collate",
    "common_images",
    "image_inputs",
    "joint_loss",
    "localization_loss",
    "plcc_loss",
    "quality_loss",
    "ranking_loss",
    "region_layout",
    "with_layouts",
]
