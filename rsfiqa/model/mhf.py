"""MHF: the stages of a backbone, projected to one width and mixed by gates."""

from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class MHF(nn.Module):
    """Multi-scale features: one vector per grid cell from all stages of a backbone.

    Each stage is projected to `width` channels from the mean and the standard deviation of its
    channels in the cell; the standard deviations carry texture. The gates of a cell are a softmax
    over stages of a linear function of each projected stage and start out equal. The paper gives
    no formula for its MHF; this one is a decision of this project.

    Args:
        stage_channels: channels of each stage, earliest first, as in `Batch.grid_features`.
        width: channels of the mixed features, D.
    """

    def __init__(self, stage_channels: tuple[int, ...], *, width: int) -> None:
        super().__init__()
        bounds = list(pairwise(accumulate(stage_channels, initial=0)))
        self.slices = [slice(start, stop) for start, stop in bounds]
        self.project = nn.ModuleList(nn.Linear(2 * n, width) for n in stage_channels)
        self.gate = nn.Parameter(torch.zeros(len(stage_channels), width))
        self.gate_bias = nn.Parameter(torch.zeros(len(stage_channels)))

    def forward(self, grid_features: Tensor) -> tuple[Tensor, Tensor]:
        """The mixed features and their gates.

        Args:
            grid_features: float32 (B, N, 2, C), standardised means and standard deviations of N
                cells.

        Returns:
            features: float (B, N, D).
            gates: float (B, N, S), weights of the S stages in each cell; sums to 1 over S.
        """
        stages = torch.stack(
            [
                functional.gelu(project(grid_features[..., part].flatten(2)))
                for part, project in zip(self.slices, self.project, strict=True)
            ],
            dim=2,
        )  # (B, N, S, D)
        gates = ((stages * self.gate).sum(-1) + self.gate_bias).softmax(-1)  # (B, N, S)
        return torch.einsum("bnsd,bns->bnd", stages, gates), gates
