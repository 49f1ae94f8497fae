"""The recipe of the perception's head: its examples, its losses and its training."""

import numpy as np
import pytest
import torch
from scipy.special import entr

from recipes import perception_head, perception_regions
from recipes.perception_examples import FAMILIES, mark
from recipes.perception_head import LEAST_WEIGHT, WEIGHT_PER_AREA
from recipes.perception_others import (
    LadderMaker,
    OtherMaker,
    RatedLadderMaker,
    chosen_regions,
    crop,
    vary,
)
from recipes.perception_regions import Maker, covered_fraction, neighbours
from rsfiqa.captioners.classifier.network import head_for, region_features
from rsfiqa.captioners.classifier.weights import packaged
from rsfiqa.datasets.entry import Entry
from rsfiqa.images.load import load_rgb
from tests.support.rated import rated_photographs


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> list[Entry]:
    """Three small photographs, all good ones of ss03."""
    opinions = ((f"ss03 ({i}).png", 0.75 + i / 10) for i in range(3))
    folder = tmp_path_factory.mktemp("rated")
    return rated_photographs(folder, opinions, coarse=(9, 12), size=(400, 300))


@pytest.fixture(scope="module")
def maker(photographs):
    return Maker(photographs, packaged().backbone)


@pytest.fixture(scope="module")
def examples(maker):
    return [*map(maker.distorted, range(6)), *map(maker.rated, range(3))]


@pytest.fixture(scope="module")
def prepared(examples):
    return perception_head.prepare(examples, packaged().backbone.channels)


def test_an_example_depends_on_its_number_alone(maker, examples):
    for again, first in ((maker.distorted(2), examples[2]), (maker.rated(0), examples[6])):
        assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(examples[2]["maps"], examples[3]["maps"])


def test_what_is_distorted_is_told_apart(examples):
    for example in examples[:6]:
        assert example["severity"].any(1)[:2].tolist() == [False, True]
        covered = example["covered"]
        assert covered.any()
        assert covered.min() >= 0
        assert covered.max() <= 1
        assert float(example["area"].sum()) == pytest.approx(1)
        changed = (example["pixels"][0] != example["pixels"][1]).any(1)
        assert changed[covered.any(1)].any()


def test_neighbours_lie_together_within_a_share_of_the_area():
    labels = np.repeat(np.arange(10, dtype=np.uint16), 10)[None].repeat(20, 0)
    for seed in range(20):
        chosen = np.flatnonzero(neighbours(labels, np.random.default_rng(seed)))
        assert (np.diff(chosen) == 1).all()
        assert 1 <= len(chosen) <= 6


def test_kept_features_are_those_of_the_network(photographs, maker, examples, prepared):
    """Of a rated photograph: the head gets in training what it gets in use."""
    entry = maker.photographs[maker.order[0]]
    random = np.random.default_rng((perception_regions.RATED_SEED, 0))
    image = perception_regions.crop(load_rgb(entry.path), random)
    labels = perception_regions.regions_of(image)
    with torch.inference_mode():
        found = region_features(packaged().backbone.image_maps(image), image, labels)
    kept = prepared.rated[0].features[:-1].float()
    head = packaged().head
    apart = ((found - kept) / head.std).abs()
    assert float(apart.mean()) < 0.1
    assert float(apart.max()) < 1.5  # bfloat16 of the maps


def test_losses_fall_to_nothing_for_a_perfect_answer(prepared):
    """But for the doubt about regions that are covered in part.

    The head knows every answer; it finds it by the state's place in a batch.
    """
    states = [state for group in prepared.distorted for state in group] + prepared.rated

    class Perfect(torch.nn.Module):
        """Answers of all states; `scale` as the head's."""

        scale = torch.tensor([0.0, 1.0])

        def forward(self, features):
            covered = torch.cat([torch.cat([s.covered, s.covered[:1]]) for s in states])
            severity = torch.cat([s.severity.expand(len(s.area) + 1, -1) for s in states])
            quality = -10.0 * (covered > 0).any(1)
            for state, mos in zip(prepared.rated[::-1], prepared.mos.flip(0), strict=True):
                end = len(quality) - sum(
                    len(each.area) + 1 for each in prepared.rated[::-1][: rated_index(state)]
                )
                quality[end - len(state.area) - 1 : end] = mos
            first = 0
            for state in states[: -len(prepared.rated)]:
                last = first + len(state.area)
                quality[last] = -10.0 * state.distorted
                first = last + 1
            presence = torch.logit(covered, eps=1e-7)
            return {"presence": presence, "severity": severity, "quality": quality}

    def rated_index(state):
        return next(k for k, each in enumerate(prepared.rated[::-1]) if each is state)

    losses = perception_head.step_losses(Perfect(), prepared, np.arange(6), np.arange(3))
    known = [state for group in prepared.distorted for state in group]
    fraction = torch.cat([state.covered for state in known]).numpy()
    area = torch.cat([state.area for state in known]).numpy()
    weight = (LEAST_WEIGHT + WEIGHT_PER_AREA * area).clip(max=1)
    doubt = 3 * weight @ (entr(fraction) + entr(1 - fraction)).sum(1) / weight.sum()
    assert 0.01 < doubt < 1
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(
        {"opinion": 0, "presence": doubt, "severity": 0, "drop": 0, "consistency": 0}, abs=1e-4
    )


def test_a_head_learns_and_learns_the_same_again(prepared):
    def trained(epochs):
        torch.manual_seed(0)
        head = head_for(packaged().backbone, FAMILIES)
        perception_head.train(head, prepared, epochs=epochs, batch=3)
        return head.eval()

    def loss(head):
        with torch.no_grad():
            found = perception_head.step_losses(head, prepared, np.arange(6), np.arange(3))
        return float(torch.stack(list(found.values())).sum())

    first, second = trained(8), trained(8)
    assert loss(first) < loss(trained(1))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


def test_files_that_are_there_are_not_made_again(maker, tmp_path, monkeypatch):
    monkeypatch.setattr(perception_regions, "PER_FILE", 1)
    perception_regions.make(maker, tmp_path, 2, worker=(0, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["0000.pt"]
    before = (tmp_path / "0000.pt").stat().st_mtime_ns
    perception_regions.make(maker, tmp_path, 2, rated=False)
    assert (tmp_path / "0000.pt").stat().st_mtime_ns == before
    assert [len(each["area"]) > 0 for each in perception_regions.read(tmp_path, 2)] == [True] * 3


def test_photographs_of_other_sources_take_turns(photographs):
    images = {entry.image_id: load_rgb(entry.path) for entry in photographs}
    others = OtherMaker(dict(reversed(images.items())), packaged().backbone)
    assert list(others.by_name) == sorted(images)
    found, again = others.distorted(4), others.distorted(4)
    assert all(torch.equal(value, again[name]) for name, value in found.items())
    assert found["severity"].any(1)[:2].tolist() == [False, True]
    assert found["covered"].any()
    assert "mos" not in found


@pytest.mark.parametrize("number", [4, 7, 30, 31])
def test_a_ladder_rises_in_one_region(photographs, number):
    """The severities of one family; nothing else differs from the photograph as it is."""
    images = {entry.image_id: load_rgb(entry.path) for entry in photographs}
    maker = LadderMaker(images, packaged().backbone)
    found, again = maker.distorted(number), maker.distorted(number)
    assert all(torch.equal(value, again[name]) for name, value in found.items())
    assert found["severity"].sum(1).tolist() == [0, 1, 2, 3, 4, 5]
    assert (found["severity"].max(0).values > 0).sum() == 1
    assert found["covered"].sum() == 1
    inside = found["covered"].any(1)
    (group,) = perception_head.prepare([found], packaged().backbone.channels).distorted
    told = torch.stack([state.total for state in group])
    assert told[:, inside].ravel().tolist() == [0, 1, 2, 3, 4, 5]
    assert not told[:, ~inside].any()


def test_ladders_of_rated_photographs_take_families_in_turn(photographs):
    """Realistic ones first, then one of textbooks; a part or all of the photograph is covered."""
    maker = RatedLadderMaker(photographs, packaged().backbone)
    watermark = 2 * FAMILIES.index("watermark")
    for number, family in ((0, "defocus"), (1, "noise"), (3, "defocus"), (watermark, "watermark")):
        found, again = maker.distorted(number), maker.distorted(number)
        assert all(torch.equal(value, again[name]) for name, value in found.items())
        column = FAMILIES.index(family)
        assert found["severity"][:, column].tolist() == [0, 1, 2, 3, 4, 5]
        assert found["severity"].sum() == 15
        assert 0 < found["covered"][:, column].max() <= 1
        assert len(found["maps"]) == 6


def test_a_region_is_marked_where_a_fifth_of_it_is_covered(photographs):
    maker = RatedLadderMaker(photographs, packaged().backbone)
    found = maker.distorted(2 * FAMILIES.index("watermark"))
    column = FAMILIES.index("watermark")
    (group,) = perception_head.prepare([found], packaged().backbone.channels).distorted
    expected = (5 * found["covered"][:, column]).clamp_max(1)
    assert not group[0].covered.any()
    for state in group[1:]:
        assert torch.allclose(state.covered[:, column], expected)
        assert state.covered.sum() == state.covered[:, column].sum()


def test_the_fraction_of_each_region_that_is_distorted():
    labels = np.repeat(np.array([[0, 1, 2]], np.uint16), 4, axis=0)
    inside = np.zeros((4, 3), bool)
    inside[:, 0], inside[0, 1] = True, True
    assert covered_fraction(labels, inside).tolist() == [1, 0.25, 0]
    assert covered_fraction(labels, None).tolist() == [1, 1, 1]


def test_a_watermark_covers_what_lies_between_its_letters():
    """Strokes of 2 pixels, 6 apart, in an image of 200; nothing far away."""
    before = np.full((200, 200, 3), 100, np.uint8)
    after = before.copy()
    after[50:70, 40:100:8] = after[50:70, 41:100:8] = 140
    marked = mark(before, after)
    assert marked[55:65, 45:90].all()
    assert not marked[:40].any()
    assert not marked[:, 130:].any()


def test_where_a_distortion_lies_is_known_in_each_region(maker):
    """Half of each example's regions are those of the distorted state, covered in part."""
    found = [maker.distorted(number) for number in range(12)]
    parts = torch.cat([each["covered"].amax(1) for each in found])
    assert ((parts > 0.02) & (parts < 0.98)).any()
    assert (parts == 1).any()


def test_one_some_or_all_regions_are_distorted():
    """Regions of 2, 48 and 50 % of the area; the first is too small to be distorted alone."""
    labels = np.repeat(np.array([0] * 2 + [1] * 48 + [2] * 50, np.uint16)[None], 10, axis=0)
    found = [chosen_regions(labels, np.random.default_rng(seed)) for seed in range(60)]
    alone = [np.flatnonzero(each).tolist() for each in found if each.sum() == 1]
    assert {tuple(each) for each in alone} >= {(1,), (2,)}
    assert any(each.all() for each in found)
    assert 20 <= len(alone) <= 50
    two = np.repeat(np.array([[0, 1]], np.uint16), 4, axis=0)
    assert chosen_regions(two, np.random.default_rng(0)).all()


def test_a_varied_photograph_keeps_its_smallest_side():
    image = np.zeros((330, 700, 3), np.uint8)
    for seed in range(30):
        random = np.random.default_rng(seed)
        varied = vary(image, random)
        assert min(varied.shape[:2]) >= 320
        assert max(crop(varied, random).shape[:2]) <= 640
