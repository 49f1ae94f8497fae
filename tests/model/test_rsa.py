"""Properties of the model that hold whatever its weights."""

import math
from dataclasses import fields, replace

import pytest
import torch

from rsfiqa.model import RSA, VARIANTS, Batch, Prediction, collate
from rsfiqa.train.fit import fit
from tests.support.tiny_model import STAGES, TEXT, random_batch, random_model, untrained_model

# float32 sums of some hundred numbers of size 1, added in another order, differ by about 1e-6.
TOLERANCE = 1e-5


def assert_same(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_quality_is_the_sum_of_its_parts(variant: str) -> None:
    prediction = random_model(variant)(random_batch())
    regional = (prediction.region_weight * prediction.region_quality).sum(1)
    torch.testing.assert_close(prediction.quality, regional, atol=0, rtol=0)
    assert_same(prediction.head_quality.mean(0), prediction.quality)
    assert_same(prediction.region_weight.sum(1), torch.ones(3))
    assert prediction.attention.shape == (3, 4, 4)
    assert_same(prediction.attention.sum((1, 2)), torch.ones(3))
    assert_same(prediction.quality_map.sum((1, 2)), prediction.quality)


@pytest.mark.parametrize("variant", VARIANTS)
def test_order_of_regions_changes_nothing(variant: str) -> None:
    batch, model = random_batch(), random_model(variant)
    order = torch.tensor([2, 0, 3, 1])
    permuted = {
        part.name: getattr(batch, part.name)[:, order]
        for part in fields(batch)
        if part.name != "grid_features"
    }
    expected, actual = model(batch), model(replace(batch, **permuted))
    assert_same(actual.quality, expected.quality)
    assert_same(actual.attention, expected.attention)
    assert_same(actual.region_quality, expected.region_quality[:, order])
    assert_same(actual.region_weight, expected.region_weight[:, order])


@pytest.mark.parametrize("variant", VARIANTS)
def test_batch_size_padding_and_order_change_nothing(variant: str) -> None:
    model = random_model(variant)
    items = [random_batch(1, regions, seed=regions) for regions in (2, 5, 1)]
    together = model(collate(items))
    backwards = model(collate(items[::-1]))
    for i, item in enumerate(items):
        alone: Prediction = model(item)
        regions = item.present.shape[1]
        for name in ("quality", "attention", "quality_map", "global_term"):
            assert_same(getattr(together, name)[i], getattr(alone, name)[0])
            assert_same(getattr(backwards, name)[2 - i], getattr(alone, name)[0])
        for name in ("region_quality", "region_weight"):
            assert_same(getattr(together, name)[i, :regions], getattr(alone, name)[0])
            assert getattr(together, name)[i, regions:].abs().sum() == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_values_of_absent_regions_have_no_effect(variant: str) -> None:
    model, items = random_model(variant), [random_batch(1, 2), random_batch(1, 4)]
    batch = collate(items)
    absent = ~batch.present[..., None]
    changed = replace(
        batch,
        text=batch.text.masked_fill(absent, 7.0),
        ratings=batch.ratings.masked_fill(absent, torch.nan),
        geometry=batch.geometry.masked_fill(absent, -3.0),
    )
    assert_same(model(changed).quality, model(batch).quality)


def divided(batch: Batch, region: int) -> Batch:
    """The same images, a region of each in two equal halves with the same caption and geometry."""
    parts = {
        part.name: torch.cat(
            [getattr(batch, part.name), getattr(batch, part.name)[:, region : region + 1]], dim=1
        )
        for part in fields(batch)
        if part.name != "grid_features"
    }
    for half in (region, -1):
        parts["coverage"][:, half] /= 2
        parts["geometry"][:, half, 0] -= math.log(2)  # of the area fraction
    return replace(batch, **parts)


@pytest.mark.parametrize("variant", VARIANTS)
def test_dividing_a_region_changes_nothing_in_an_untrained_model(variant: str) -> None:
    """For a trained model see tests/score/test_packaged.py."""
    batch, model = random_batch(20), untrained_model(variant, seed=0)
    model.standardise(batch, torch.rand(20))
    for region in range(4):
        assert_same(model.eval()(divided(batch, region)).quality, model(batch).quality)


def reacts(model: RSA, batch: Batch, **changes: torch.Tensor) -> bool:
    """Whether the quality of any image changes by more than rounding."""
    difference = model(replace(batch, **changes)).quality - model(batch).quality
    return bool(difference.abs().max() > TOLERANCE)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_use_the_inputs_that_they_should(variant: str) -> None:
    batch, model = random_batch(), random_model(variant)
    has_captions = variant not in ("no_mllm", "none")
    assert reacts(model, batch, text=batch.text + 1) == has_captions
    assert reacts(model, batch, ratings=6 - batch.ratings) == has_captions
    early = batch.grid_features.clone()
    early[:, :, :7] += 1  # all stages but the last
    assert reacts(model, batch, grid_features=early) == (variant not in ("no_mhf", "none"))
    last = batch.grid_features.clone()
    last[:, :, 7:] += 1
    assert reacts(model, batch, grid_features=last)
    other = batch.coverage.flip(2)
    assert reacts(model, batch, coverage=other) == (variant not in ("no_rsa", "none"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_weight_learns(variant: str) -> None:
    model = random_model(variant).train()
    (model(random_batch()).quality ** 2).sum().backward()
    for name, parameter in model.named_parameters():
        if variant == "no_mhf" and "gate" in name:
            continue  # a softmax over a single stage is constant
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_missing_ratings_are_not_middling_ones() -> None:
    batch, model = random_batch(), random_model()
    missing = replace(batch, ratings=torch.full_like(batch.ratings, torch.nan))
    assert model(missing).quality.isfinite().all()
    assert reacts(model, missing, ratings=torch.full_like(batch.ratings, 3.0))


def test_a_cell_of_one_region_contributes_its_attention_times_the_regions_quality() -> None:
    batch, model = random_batch(1), random_model()
    coverage = torch.zeros_like(batch.coverage)
    owner = torch.arange(coverage.shape[2]) % 4  # cell n belongs to region n mod 4 alone
    coverage[0, owner, torch.arange(len(owner))] = 1
    prediction = model(replace(batch, coverage=coverage))
    expected = prediction.attention.flatten() * prediction.region_quality[0, owner]
    assert_same(prediction.quality_map.flatten(), expected)


def test_without_region_attention_regions_count_by_area() -> None:
    batch = random_batch()
    prediction = random_model("no_rsa")(batch)
    area = batch.geometry[..., 0].exp()
    assert_same(prediction.region_weight, area / area.sum(1, keepdim=True))
    assert_same(prediction.attention, torch.full((3, 4, 4), 1 / 16))


def test_float16_grid_features_are_precise_enough() -> None:
    batch, model = random_batch(), random_model()
    float16 = model(replace(batch, grid_features=batch.grid_features.half())).quality
    # float16 keeps 3 digits of numbers of size 1.
    torch.testing.assert_close(float16, model(batch).quality, atol=5e-3, rtol=0)


def test_statistics_are_part_of_the_state() -> None:
    batch, model, other = random_batch(), random_model(), untrained_model().eval()
    other.load_state_dict(model.state_dict())
    assert_same(other(batch).quality, model(batch).quality)


@pytest.mark.parametrize("variant", ["full", "no_rsa"])
def test_without_text_the_ratings_remain(variant: str) -> None:
    batch = random_batch()
    batch = replace(batch, text=batch.text[..., :0])
    model = RSA(STAGES, text_dim=0, width=8, heads=2, hidden=8, variant=variant)
    model.standardise(batch, torch.rand(3))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    better = replace(batch, ratings=(batch.ratings + 1).clamp(max=5))
    assert not any("text" in name for name in model.state_dict())
    assert ((model.eval()(better).quality - model(batch).quality).abs() > 1e-5).all()


@pytest.mark.parametrize("variant", ["full", "no_rsa"])
def test_the_scale_of_captions_is_a_factor_of_their_projection(variant: str) -> None:
    """0.5 with weights of 0.4 is 0.2, what a checkpoint has that does not state it, with 1."""
    batch = random_batch()
    settings = {"text_dim": TEXT, "width": 8, "heads": 2, "hidden": 8, "variant": variant}
    earlier = RSA(STAGES, **settings).eval()
    state = {name: value + 0.3 for name, value in earlier.state_dict().items()}
    earlier.load_state_dict(state)
    later = RSA(STAGES, **settings, caption_scale=0.5).eval()
    captions = "caption_projection."
    later.load_state_dict(
        {name: value * (0.4 if captions in name else 1) for name, value in state.items()}
    )
    assert_same(later(batch).quality, earlier(batch).quality)


def test_unknown_variant() -> None:
    with pytest.raises(ValueError, match=r"variant: must be one of full, .* found 'no_such'"):
        RSA((3,), text_dim=2, variant="no_such")


def test_grid_features_of_another_backbone() -> None:
    batch = random_batch()
    with pytest.raises(ValueError, match=r"must have 12 channels.* found 11"):
        random_model()(replace(batch, grid_features=batch.grid_features[:, :, 1:]))


def test_calibration_is_a_line_to_the_scale_of_quality() -> None:
    batch, model = random_batch(), random_model()
    before = model(batch).quality.detach()
    target = 0.3 * before + 0.4
    model.calibrate(before, target)
    after = model(batch)
    torch.testing.assert_close(after.quality, target, atol=1e-5, rtol=0)
    regional = (after.region_weight * after.region_quality).sum(1)
    torch.testing.assert_close(after.quality, regional, atol=0, rtol=0)
    torch.testing.assert_close(after.head_quality.mean(0), after.quality)
    assert not after.region_quality[~batch.present].any()


def test_calibration_never_reverses_the_order() -> None:
    batch, model = random_batch(), random_model()
    predicted = model(batch).quality.detach()
    model.calibrate(predicted, -predicted)
    model.calibrate(torch.ones(3), torch.tensor([0.1, 0.2, 0.3]))
    assert model.calibration.tolist() == [1.0, 0.0]


def anchored_model(variant: str = "full") -> RSA:
    """An untrained model whose regions are anchored in their overall ratings."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return RSA(
            STAGES, text_dim=TEXT, width=8, heads=2, hidden=8, variant=variant, anchored=True
        ).eval()


@pytest.mark.parametrize("variant", ["full", "no_mhf"])
def test_a_region_that_is_called_poor_has_a_low_quality(variant: str) -> None:
    """By hand: the slope starts at 0.5, so bad is 0.25 below fair and excellent 0.25 above."""
    batch = random_batch(1, 4)
    ratings = batch.ratings.clone()
    ratings[0, :, -1] = torch.tensor([1.0, 2.0, 5.0, math.nan])
    prediction = anchored_model(variant)(replace(batch, ratings=ratings))
    # the layer behind the other part of what is a region's own starts at zero
    quality = prediction.region_quality[0] - prediction.global_term[0]
    assert quality.tolist() == pytest.approx([0.25, 0.375, 0.75, 0.5])


@pytest.mark.parametrize("variant", ["no_mllm", "no_rsa", "none"])
def test_regions_without_caption_or_attention_are_not_anchored(variant: str) -> None:
    assert anchored_model(variant).anchor is None


def test_images_whose_captions_differ_in_overall_alone() -> None:
    """After a training in which quality has nothing to do with the captions but for overall."""
    batch = random_batch(64, seed=3)
    ratings = torch.full_like(batch.ratings, 3.0)
    overall = torch.linspace(1, 5, 64).expand(4, 64).T
    ratings[..., -1] = overall
    batch = replace(batch, text=torch.zeros_like(batch.text), ratings=ratings)
    model = anchored_model()
    fit(model, batch, overall[:, 0] / 5, epochs=5, batch_size=16)
    assert model.anchor is not None
    assert model.anchor.slope > 0
    poor, good = ratings.clone(), ratings.clone()
    poor[:, 1, -1], good[:, 1, -1] = 2, 4
    with torch.inference_mode():
        low = model(replace(batch, ratings=poor))
        high = model(replace(batch, ratings=good))
    assert (low.region_quality[:, 1] < high.region_quality[:, 1] - 0.1).all()
    assert (low.quality < high.quality).all()
