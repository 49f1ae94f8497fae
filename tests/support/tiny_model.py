"""Small models and random batches for them."""

import torch

from rsfiqa.model import RSA, Batch

STAGES = (3, 4, 5)
GRID = 4
TEXT = 6


def random_batch(images: int = 3, regions: int = 4, seed: int = 0) -> Batch:
    """Random inputs of `images` images of `regions` regions each."""
    random = torch.Generator().manual_seed(seed)
    grid_features = torch.randn(images, 2, sum(STAGES), GRID, GRID, generator=random)
    grid_features[:, 1] = grid_features[:, 1].abs()
    coverage = torch.rand(images, regions, GRID * GRID, generator=random)
    coverage = coverage * (torch.rand(coverage.shape, generator=random) < 0.5)
    coverage[:, 0] += 0.01  # every cell is covered
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


def untrained_model(variant: str = "full", seed: int = 1) -> RSA:
    """A model with its initial weights, in training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _model(variant)


def random_model(variant: str = "full") -> RSA:
    """A standardised model with no weight left at zero, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = _model(variant)
        model.standardise(random_batch(20, seed=9), torch.rand(20))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def _model(variant: str) -> RSA:
    return RSA(STAGES, text_dim=TEXT, width=8, heads=2, ensemble_heads=2, hidden=8, variant=variant)
