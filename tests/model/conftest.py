"""Small made-up images for the model's tests."""

from collections.abc import Callable

import pytest
import torch

from rsfiqa.model import RSA, Batch

STAGES = (3, 4, 5)
GRID = 4
TEXT = 6


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """A function that makes `images` random images of `regions` regions each."""

    def make(images: int = 3, regions: int = 4, seed: int = 0) -> Batch:
        random = torch.Generator().manual_seed(seed)
        grid_features = torch.randn(images, 2, sum(STAGES), GRID, GRID, generator=random)
        grid_features[:, 1] = grid_features[:, 1].abs()
        coverage = torch.rand(images, regions, GRID * GRID, generator=random)
        coverage = coverage * (torch.rand(coverage.shape, generator=random) < 0.5)
        coverage[:, 0] += 0.01  # every cell belongs to somebody
        coverage = coverage / coverage.sum(1, keepdim=True)
        geometry = torch.rand(images, regions, 7, generator=random)
        geometry[..., 0] = coverage.mean(-1).clamp_min(1e-3).log()
        return Batch(
            grid_features=grid_features,
            coverage=coverage,
            text=torch.randn(images, regions, TEXT, generator=random),
            ratings=torch.randint(1, 6, (images, regions, 5), generator=random).float(),
            geometry=geometry,
            present=torch.ones(images, regions, dtype=torch.bool),
        )

    return make


@pytest.fixture
def make_model(make_batch: Callable[..., Batch]) -> Callable[..., RSA]:
    """A function that makes a standardised model with no weight left at zero."""

    def make(variant: str = "full") -> RSA:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = RSA(
                STAGES, text_dim=TEXT, width=8, heads=2, ensemble_heads=2, hidden=8, variant=variant
            )
            model.standardise(make_batch(20, seed=9), torch.rand(20))
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(0.2 * torch.randn_like(parameter))
        return model.eval()

    return make
