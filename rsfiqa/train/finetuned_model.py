"""A backbone and the model on top of it, trained together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rsfiqa.backbones.backbone import Backbone, grid_statistics
from rsfiqa.model import RSA, Batch, Prediction
from rsfiqa.train.optim import parameter_groups
from rsfiqa.train.options import TrainOptions

FEATURE_VARIANCE = 1e-8  # at least; channels in use vary by 0.01 or more within a grid cell


class FinetunedModel(nn.Module):
    """A backbone whose weights are trained, and the model on top of it.

    Args:
        backbone: batch normalization keeps its running statistics.
        model: trained on frozen features of the same backbone.
        grid: number G of grid cells per side.
        bf16: compute the backbone in bfloat16.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, model: RSA, grid: int, *, bf16: bool = False) -> None:
        super().__init__()
        # channels last halves the time of a step on a CPU
        self.network = backbone.network.to(memory_format=torch.channels_last).requires_grad_(True)
        self.model, self.grid, self.bf16 = model, grid, bf16
        self._backbone = backbone
        self.register_buffer("mean", backbone.mean, persistent=False)
        self.register_buffer("std", backbone.std, persistent=False)

    def train(self, mode: bool = True) -> "FinetunedModel":
        """Set the training mode; batch normalization stays in evaluation mode."""
        super().train(mode)
        for module in self.network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    @property
    def backbone(self) -> Backbone:
        """The backbone with its present weights, on their device."""
        return replace(self._backbone, network=self.network, mean=self.mean, std=self.std)

    def grid_features(self, pixels: Sequence[np.ndarray]) -> Tensor:
        """Compute grid features: float (B, 2, C, G, G).

        Args:
            pixels: B images uint8 (3, h, w); images of one size are computed together.
        """
        features: dict[int, Tensor] = {}
        for shape in sorted({image.shape for image in pixels}):
            indices = [i for i, image in enumerate(pixels) if image.shape == shape]
            x = torch.from_numpy(np.stack([pixels[i] for i in indices]))
            x = x.to(self.mean.device).float() / 255
            x = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
                maps = self._backbone.feature_maps(x)
            statistics = [
                grid_statistics(each.float(), self.grid, FEATURE_VARIANCE) for each in maps
            ]
            features |= zip(indices, torch.cat(statistics, dim=2), strict=True)
        return torch.stack([features[i] for i in range(len(pixels))])

    def forward(
        self,
        pixels: Sequence[np.ndarray],
        batch: Batch,
        distorted: Mapping[int, np.ndarray] | None = None,
    ) -> tuple[Prediction, Tensor]:
        """Predict B images, and the drop of quality in views with a distorted region.

        The drop has no gradient for the backbone, which is trained on opinion scores only.

        Args:
            pixels: uint8 (3, h, w) of each image.
            batch: the images; its grid features are replaced.
            distorted: uint8 (3, h, w) of K views with a distorted region, by the index of their
                image.

        Returns:
            The prediction of the images, and float (K, R), by how much the quality of each region
            is lower in the view than in the image.
        """
        grid_features = self.grid_features(pixels)
        prediction: Prediction = self.model(replace(batch, grid_features=grid_features))
        if not distorted:
            return prediction, prediction.region_quality[:0]
        index = torch.tensor(list(distorted), device=grid_features.device)
        with torch.no_grad():
            views = self.grid_features(list(distorted.values()))
        both = torch.cat([grid_features.detach()[index], views])
        quality = self.model(
            replace(batch.take(index.repeat(2)), grid_features=both)
        ).region_quality
        intact, lowered = quality.chunk(2)
        return prediction, intact - lowered


def finetuning_groups(finetuned: FinetunedModel, options: TrainOptions) -> list[dict[str, Any]]:
    """Return parameter groups whose learning rates fall from the last layer to the first.

    timm's `param_groups_layer_decay` is not used: it takes the layers from the model's
    `group_matcher`, which the extractors of feature maps do not have.
    """
    layers: dict[str, list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in finetuned.network.named_parameters():
        layers.setdefault(layer_name(name), []).append((name, parameter))
    groups = []
    for depth, layer in enumerate(reversed(layers.values())):
        lr = options.finetune.lr * options.finetune.layer_decay**depth
        groups += parameter_groups(layer, lr=lr, weight_decay=options.weight_decay)
    return groups + parameter_groups(
        finetuned.model.named_parameters(),
        lr=options.finetune.head_lr,
        weight_decay=options.weight_decay,
    )


def layer_name(parameter: str) -> str:
    """Return the name of the layer that a parameter belongs to: up to the first numbers.

    `blocks.3.1.conv_pw.weight` belongs to `blocks.3.1`, `layer1.0.downsample.0.weight` to
    `layer1.0`, `model.blocks.5.attn.qkv.weight` to `model.blocks.5`.
    """
    parts = parameter.split(".")
    is_number = [part.isdigit() for part in parts]
    if True not in is_number[:4]:
        return parts[0]
    end = is_number.index(True)
    while end < len(parts) and is_number[end]:
        end += 1
    return ".".join(parts[:end])
