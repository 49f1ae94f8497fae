"""What the model promises, whatever its weights."""

import math
from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch

from rsfiqa.model import RSA, VARIANTS, Batch, Prediction, collate

MakeBatch = Callable[..., Batch]
MakeModel = Callable[..., RSA]

# float32 sums of some hundred numbers of size 1, added in another order, differ by about 1e-6.
TOLERANCE = 1e-5


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_score_adds_up(variant: str, make_batch: MakeBatch, make_model: MakeModel) -> None:
    batch = make_batch()
    found = make_model(variant)(batch)
    torch.testing.assert_close(
        found.score, (found.weight * found.quality).sum(1) + found.global_term, atol=0, rtol=0
    )
    assert_same(found.head_scores.mean(0), found.score)
    assert_same(found.weight.sum(1), torch.ones(3))
    assert found.attention.shape == (3, 4, 4)
    assert_same(found.attention.sum((1, 2)), torch.ones(3))


@pytest.mark.parametrize("variant", VARIANTS)
def test_order_of_regions_changes_nothing(
    variant: str, make_batch: MakeBatch, make_model: MakeModel
) -> None:
    batch, model = make_batch(), make_model(variant)
    order = torch.tensor([2, 0, 3, 1])
    moved = {
        part.name: getattr(batch, part.name)[:, order]
        for part in fields(batch)
        if part.name != "grid_features"
    }
    expected, found = model(batch), model(replace(batch, **moved))
    assert_same(found.score, expected.score)
    assert_same(found.attention, expected.attention)
    assert_same(found.quality, expected.quality[:, order])
    assert_same(found.weight, expected.weight[:, order])


@pytest.mark.parametrize("variant", VARIANTS)
def test_batch_size_padding_and_order_change_nothing(
    variant: str, make_batch: MakeBatch, make_model: MakeModel
) -> None:
    model = make_model(variant)
    items = [make_batch(1, regions, seed=regions) for regions in (2, 5, 1)]
    together = model(collate(items))
    backwards = model(collate(items[::-1]))
    for i, item in enumerate(items):
        alone: Prediction = model(item)
        regions = item.present.shape[1]
        for name in ("score", "attention", "global_term"):
            assert_same(getattr(together, name)[i], getattr(alone, name)[0])
            assert_same(getattr(backwards, name)[2 - i], getattr(alone, name)[0])
        for name in ("quality", "weight"):
            assert_same(getattr(together, name)[i, :regions], getattr(alone, name)[0])
            assert getattr(together, name)[i, regions:].abs().sum() == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_lies_in_absent_regions_changes_nothing(
    variant: str, make_batch: MakeBatch, make_model: MakeModel
) -> None:
    model, items = make_model(variant), [make_batch(1, 2), make_batch(1, 4)]
    batch = collate(items)
    absent = ~batch.present[..., None]
    changed = replace(
        batch,
        text=batch.text.masked_fill(absent, 7.0),
        ratings=batch.ratings.masked_fill(absent, torch.nan),
        geometry=batch.geometry.masked_fill(absent, -3.0),
    )
    assert_same(model(changed).score, model(batch).score)


def divided(batch: Batch, region: int) -> Batch:
    """The same images, a region of each in two equal halves that say the same of themselves."""
    parts = {
        part.name: torch.cat(
            [getattr(batch, part.name), getattr(batch, part.name)[:, region : region + 1]], dim=1
        )
        for part in fields(batch)
        if part.name != "grid_features"
    }
    for half in (region, -1):
        parts["coverage"][:, half] /= 2
        parts["geometry"][:, half, 0] -= math.log(2)  # of the share of the area
    return replace(batch, **parts)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_region_in_two_is_the_same_to_a_model_that_has_learnt_nothing(
    variant: str, make_batch: MakeBatch
) -> None:
    """Of one that was trained: tests/test_packaged.py."""
    batch = make_batch(20)
    torch.manual_seed(0)
    model = RSA(
        (3, 4, 5), text_dim=6, width=8, heads=2, ensemble_heads=2, hidden=8, variant=variant
    )
    model.standardise(batch, torch.rand(20))
    for region in range(4):
        assert_same(model.eval()(divided(batch, region)).score, model(batch).score)


def reacts(model: RSA, batch: Batch, **changes: torch.Tensor) -> bool:
    """Whether the score of any image moves by more than rounding."""
    difference = model(replace(batch, **changes)).score - model(batch).score
    return bool(difference.abs().max() > TOLERANCE)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_see_what_they_should(
    variant: str, make_batch: MakeBatch, make_model: MakeModel
) -> None:
    batch, model = make_batch(), make_model(variant)
    captioned = variant not in ("no_mllm", "none")
    assert reacts(model, batch, text=batch.text + 1) == captioned
    assert reacts(model, batch, ratings=6 - batch.ratings) == captioned
    early = batch.grid_features.clone()
    early[:, :, :7] += 1  # all stages but the last
    assert reacts(model, batch, grid_features=early) == (variant not in ("no_mhf", "none"))
    last = batch.grid_features.clone()
    last[:, :, 7:] += 1
    assert reacts(model, batch, grid_features=last)
    other = batch.coverage.flip(2)
    assert reacts(model, batch, coverage=other) == (variant not in ("no_rsa", "none"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_weight_learns(variant: str, make_batch: MakeBatch, make_model: MakeModel) -> None:
    model = make_model(variant).train()
    (model(make_batch()).score ** 2).sum().backward()
    for name, parameter in model.named_parameters():
        if variant == "no_mhf" and "gate" in name:
            continue  # there is nothing to choose from
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_missing_ratings_are_not_middling_ones(
    make_batch: MakeBatch, make_model: MakeModel
) -> None:
    batch, model = make_batch(), make_model()
    missing = replace(batch, ratings=torch.full_like(batch.ratings, torch.nan))
    assert model(missing).score.isfinite().all()
    assert reacts(model, missing, ratings=torch.full_like(batch.ratings, 3.0))


def test_without_region_attention_regions_count_by_area(
    make_batch: MakeBatch, make_model: MakeModel
) -> None:
    batch = make_batch()
    found = make_model("no_rsa")(batch)
    area = batch.geometry[..., 0].exp()
    assert_same(found.weight, area / area.sum(1, keepdim=True))
    assert_same(found.attention, torch.full((3, 4, 4), 1 / 16))


def test_half_precision_cells_are_enough(make_batch: MakeBatch, make_model: MakeModel) -> None:
    batch, model = make_batch(), make_model()
    half = model(replace(batch, grid_features=batch.grid_features.half())).score
    # float16 keeps 3 digits of numbers of size 1.
    torch.testing.assert_close(half, model(batch).score, atol=5e-3, rtol=0)


def test_statistics_travel_with_the_weights(make_batch: MakeBatch, make_model: MakeModel) -> None:
    batch, model = make_batch(), make_model()
    copy = RSA((3, 4, 5), text_dim=6, width=8, heads=2, ensemble_heads=2, hidden=8).eval()
    copy.load_state_dict(model.state_dict())
    assert_same(copy(batch).score, model(batch).score)


def test_unknown_variant() -> None:
    with pytest.raises(ValueError, match=r"variant: must be one of full, .* found 'no_such'"):
        RSA((3,), text_dim=2, variant="no_such")


def test_cells_of_another_backbone(make_batch: MakeBatch, make_model: MakeModel) -> None:
    batch = make_batch()
    with pytest.raises(ValueError, match=r"must have 12 channels.* found 11"):
        make_model()(replace(batch, grid_features=batch.grid_features[:, :, 1:]))


def test_a_line_brings_scores_to_their_scale(make_batch: MakeBatch, make_model: MakeModel) -> None:
    batch, model = make_batch(), make_model()
    before = model(batch)
    target = 0.3 * before.score.detach() + 0.4
    model.calibrate(before.score.detach(), target)
    after = model(batch)
    torch.testing.assert_close(after.score, target, atol=1e-5, rtol=0)
    regional = (after.weight * after.quality).sum(1)
    torch.testing.assert_close(after.score, regional + after.global_term)
    torch.testing.assert_close(after.ensemble_heads.mean(0), after.score)
    assert not after.quality[~batch.present].any()


def test_a_falling_line_is_not_taken(make_batch: MakeBatch, make_model: MakeModel) -> None:
    batch, model = make_batch(), make_model()
    score = model(batch).score.detach()
    model.calibrate(score, -score)
    model.calibrate(torch.ones(3), torch.tensor([0.1, 0.2, 0.3]))
    assert model.calibration.tolist() == [1.0, 0.0]
