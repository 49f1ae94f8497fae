"""Training on frozen features: reproducible, and it learns."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from rsfiqa.errors import InputError
from rsfiqa.model import RSA, Batch
from rsfiqa.train.distorted import mix_distorted_region
from rsfiqa.train.fit import fit

IMAGES, REGIONS, GRID = 128, 3, 4


def toy(seed: int = 0) -> tuple[Batch, torch.Tensor]:
    """Images whose quality is the sigmoid of the mean of their first channel."""
    random = torch.Generator().manual_seed(seed)
    grid_features = torch.randn(IMAGES, 2, 7, GRID, GRID, generator=random)
    grid_features[:, 0, 0] += torch.randn(IMAGES, 1, 1, generator=random)
    grid_features[:, 1] = grid_features[:, 1].abs()
    coverage = torch.rand(IMAGES, REGIONS, GRID * GRID, generator=random)
    coverage = coverage / coverage.sum(1, keepdim=True)
    batch = Batch(
        grid_features=grid_features,
        coverage=coverage,
        text=torch.zeros(IMAGES, REGIONS, 2),
        ratings=torch.full((IMAGES, REGIONS, 5), torch.nan),
        geometry=torch.full((IMAGES, REGIONS, 7), 0.5),
        present=torch.ones(IMAGES, REGIONS, dtype=torch.bool),
    )
    return batch, grid_features[:, 0, 0].mean((1, 2)).sigmoid()


@cache
def trained() -> tuple[RSA, list[float]]:
    """A trained full model that the tests share, and its losses."""
    return train()


def untrained(seed: int = 0, variant: str = "full") -> RSA:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RSA(
            (3, 4), text_dim=2, width=8, heads=2, ensemble_heads=2, hidden=8, variant=variant
        )


def train(seed: int = 0, variant: str = "full") -> tuple[RSA, list[float]]:
    batch, quality = toy()
    model = untrained(seed, variant)
    losses = fit(model, batch, quality, epochs=12, batch_size=16, lr=1e-2, ema=0.8, seed=seed)
    return model, losses


def test_a_training_that_diverges() -> None:
    batch, quality = toy()
    model = RSA((3, 4), text_dim=2, width=8, heads=2, ensemble_heads=2, hidden=8)
    message = r"^train.lr: must let the training converge, found nan in epoch 1; lower"
    with pytest.raises(InputError, match=message):
        fit(model, batch, quality, epochs=3, batch_size=16, lr=1e30)


def test_the_result_does_not_depend_on_the_global_random_state() -> None:
    first, losses = trained()
    torch.manual_seed(1234)
    before = torch.get_rng_state()
    second, again = train()
    assert losses == again
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    assert torch.equal(before, torch.get_rng_state())


def test_another_seed_gives_another_model() -> None:
    assert trained()[1] != train(seed=1)[1]


@pytest.mark.parametrize("variant", ["full", "none"])
def test_learns_a_toy_problem(variant: str) -> None:
    model, losses = trained() if variant == "full" else train(variant=variant)
    assert not model.training
    assert len(losses) == 12
    assert losses[-1] < 0.7 * losses[0]


def test_the_full_model_generalises() -> None:
    model, _ = trained()
    batch, quality = toy(seed=5)
    with torch.inference_mode():
        score = model(batch).quality
    assert torch.corrcoef(torch.stack([score, quality]))[0, 1] > 0.8


def test_reports_progress() -> None:
    batch, quality = toy()
    reported: list[tuple[int, float]] = []
    model = RSA((3, 4), text_dim=2, width=8, heads=2)
    losses = fit(
        model,
        batch,
        quality,
        epochs=2,
        batch_size=100,
        progress=lambda epoch, loss: reported.append((epoch, loss)),
    )
    assert reported == list(enumerate(losses, 1))


def test_a_single_step_learns() -> None:
    batch, quality = toy()
    model = RSA((3, 4), text_dim=2, width=8, heads=2)
    before = model.heads.w2.detach().clone()
    fit(model, batch, quality, epochs=1, batch_size=len(batch), ema=0)
    assert not torch.equal(model.heads.w2, before)


def test_scores_of_training_images_are_on_the_scale_of_quality() -> None:
    batch, quality = toy()
    model, _ = trained()
    with torch.inference_mode():
        score = model(batch).quality
    assert score.mean().item() == pytest.approx(quality.mean().item(), abs=1e-4)
    slope = torch.linalg.lstsq((score - score.mean())[:, None], quality - quality.mean()).solution
    assert slope.item() == pytest.approx(1, abs=1e-3)


def toy_with_views(seed: int) -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """The toy images, and distorted views: a channel unrelated to quality is raised by 2."""
    batch, quality = toy(seed)
    region = torch.arange(GRID * GRID) * REGIONS // (GRID * GRID)
    coverage = torch.stack([region == r for r in range(REGIONS)]).float().expand(IMAGES, -1, -1)
    views = batch.grid_features.clone()
    views[:, 0, 3] += 2
    return replace(batch, coverage=coverage), quality, views


@pytest.mark.parametrize(("weight", "lowest", "highest"), [(0.3, 0.9, 1.0), (0.0, 0.0, 0.7)])
def test_learns_to_localize_the_distorted_region(
    weight: float, lowest: float, highest: float
) -> None:
    batch, quality, views = toy_with_views(0)
    model = untrained()
    fit(
        model,
        batch,
        quality,
        epochs=20,
        batch_size=16,
        lr=1e-2,
        distorted=views,
        localization_weight=weight,
    )
    batch, _, views = toy_with_views(1)
    mixed, region = mix_distorted_region(batch, views, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        drop = model(batch).region_quality - model(mixed).region_quality
    assert lowest <= (drop.argmax(-1) == region).float().mean() <= highest


def test_trains_on_mirrored_views() -> None:
    batch, quality = toy()
    model = untrained()
    # views without content: half of the training images say nothing about their quality
    blank = torch.zeros_like(batch.grid_features)
    losses = fit(model, batch, quality, epochs=12, batch_size=16, lr=1e-2, ema=0.8, mirrored=blank)
    assert losses[-1] > 1.5 * trained()[1][-1]
