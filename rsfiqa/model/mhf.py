"""Multi-scale features: the stages of a backbone, brought to one width and mixed by gates."""

from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class MHF(nn.Module):
    """Projects each backbone stage to `width` channels and mixes them, cell by cell.

    A stage enters a cell with its channels' means and standard deviations, so that texture is
    seen as well as level. The gates of a cell are a softmax over stages of a linear function of
    each projected stage; they start out equal.

    Args:
        stage_channels: channels of each stage, earliest first, as they lie in `Batch.cells`.
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
        """The mixed features and the gates that mixed them.

        Args:
            grid_features: float32 (B, N, 2, C), standardised means and standard
                deviations of N cells.

        Returns:
            features: float (B, N, D).
            gates: float (B, N, S), the stages' shares in each cell; sums to 1 over S.
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
