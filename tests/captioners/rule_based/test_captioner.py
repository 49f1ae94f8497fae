import json
from importlib import resources

import cv2
import numpy as np
import pyarrow as pa
import pytest
import skimage

from rsfiqa.captioners.rule_based.captioner import FAMILIES_OF, Recognised, caption, rate, recognise
from rsfiqa.captioners.rule_based.features import FEATURES
from rsfiqa.images.distort import distort
from rsfiqa.products import captions
from rsfiqa.vocabulary import FAMILIES, ITU_LEVELS, RATINGS, SEVERITY_WORDS

HALVES = np.repeat(np.repeat([[0, 1]], 128, 1), 256, 0).astype(np.uint16)
QUARTERS = np.repeat(np.repeat([[0, 1], [2, 3]], 128, 0), 128, 1).astype(np.uint16)


@pytest.fixture(scope="module")
def astronaut():
    """A photograph, uint8 (256, 256, 3)."""
    return cv2.resize(skimage.data.astronaut(), (256, 256), interpolation=cv2.INTER_AREA)


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(image + drawn, 0, 255).astype(np.uint8)


def named(row: dict) -> dict[str, int]:
    return {found["family"]: found["severity"] for found in row["distortions"]}


def test_families_are_those_of_the_schema():
    assert set(FAMILIES_OF) == set(RATINGS) - {"overall"}
    every = [family for families in FAMILIES_OF.values() for family in families]
    assert sorted(every) == sorted(FAMILIES)


def test_what_was_learnt_is_of_these_signs_and_families():
    learnt = json.loads(
        resources.files("rsfiqa.captioners.rule_based").joinpath("weights.json").read_text()
    )
    assert learnt["signs"] == list(FEATURES)
    assert tuple(learnt["severity"]) == tuple(sorted(FAMILIES))
    assert set(learnt["family"]) == {"none", *FAMILIES}


def recognised(none: float, **families: tuple[float, float]) -> Recognised:
    """One region; probability and level of families."""
    rows = np.array([families.get(name, (0, 1)) for name in FAMILIES], float)
    return Recognised(np.array([none]), rows[None, :, 0], rows[None, :, 1])


def test_ratings_by_hand():
    found = rate(recognised(0.2, noise=(0.5, 4), blur=(0.1, 2), contrast_low=(0.2, 3)))
    assert found["noise"] == pytest.approx(5 - 0.8 * 2)
    assert found["blur"] == pytest.approx(5 - 0.8 * 0.2)
    assert found["color"] == pytest.approx(5 - 0.8 * 0.6)
    assert found["artifact"] == 5
    mean = (3.4 + 4.84 + 4.52 + 5) / 4
    assert found["overall"] == pytest.approx((mean + 3.4) / 2)


def test_named_are_the_likeliest_and_the_likely():
    both = recognised(0.1, noise=(0.45, 2), blur=(0.4, 4.6), pixelation=(0.05, 5))
    assert both.named(0) == [("blur", 5), ("noise", 2)]
    assert recognised(0.3, noise=(0.28, 2), blur=(0.2, 1)).named(0) == []
    assert recognised(0.2, noise=(0.25, 2), blur=(0.24, 1)).named(0) == [("noise", 2)]


def test_signs_that_say_nothing_give_the_mean():
    learnt = json.loads(
        resources.files("rsfiqa.captioners.rule_based").joinpath("weights.json").read_text()
    )
    found = recognise(np.array([learnt["mean"]]))
    assert found.none[0] + found.likely.sum() == pytest.approx(1)
    wanted = np.clip([learnt["severity"][name][-1] for name in FAMILIES], 1, 5)
    np.testing.assert_allclose(found.severity[0], wanted)


@pytest.mark.parametrize("image", ["astronaut", "noise", "black", "white"])
def test_rows_fit_the_schema(image, request, astronaut):
    flat = {"black": np.zeros_like(astronaut), "white": np.full_like(astronaut, 255)}
    pixels = flat[image] if image in flat else request.getfixturevalue(image)
    step = len(QUARTERS) // len(pixels)
    rows = caption(pixels, QUARTERS[::step, ::step])
    table = pa.Table.from_pylist([{"image_id": "a", **row} for row in rows], captions.SCHEMA)
    assert table.column_names == captions.SCHEMA.names
    assert table["region"].to_pylist() == [0, 1, 2, 3]
    assert table["status"].to_pylist() == ["ok"] * 4
    for row in table.to_pylist():
        assert set(row) == set(captions.SCHEMA.names)
        for name in RATINGS:
            assert 1 <= row[f"{name}_expected"] <= 5
            assert row[name] == round(row[f"{name}_expected"])
        assert all(1 <= severity <= 5 for severity in named(row).values())
        assert row["text"].endswith(f"Overall {ITU_LEVELS[row['overall'] - 1]}.")
        assert row["content"].count(",") == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_ratings_fall_with_the_level_in_the_distorted_half_alone(astronaut, family):
    (rating,) = (name for name, families in FAMILIES_OF.items() if family in families)
    intact = caption(astronaut, HALVES)
    rows = []
    for severity in (1, 3, 5):
        worse = distort(astronaut, family, severity, np.random.default_rng(0))
        image = np.concatenate([astronaut[:, :128], worse[:, 128:]], axis=1)
        rows.append(caption(image, HALVES))
    for row in rows:
        assert row[0][f"{rating}_expected"] == pytest.approx(
            intact[0][f"{rating}_expected"], abs=0.6
        )
    found = [row[1][f"{rating}_expected"] for row in rows]
    assert (np.diff(found) < 0.4).all()
    assert found[-1] < intact[1][f"{rating}_expected"] - 0.7


def test_the_sentence_names_the_worst_distortion_first(astronaut):
    row = caption(noisy(astronaut, 50), QUARTERS * 0)[0]
    worst = row["distortions"][0]
    assert worst["family"] == "noise"
    assert f"with {SEVERITY_WORDS[worst['severity']]} noise" in row["text"]
    severities = [found["severity"] for found in row["distortions"]]
    assert severities == sorted(severities, reverse=True)


def test_the_sentence_by_hand():
    image = np.full((256, 256, 3), (0, 130, 220), np.uint8)  # hue 266 degrees in CIELAB
    image[::2, ::2] += 2
    (row,) = caption(image, QUARTERS * 0)
    assert row["content"] == "mid-tone blue smooth area, center, 100 % of the image"
    worst = row["distortions"][:2]
    named = [f"{SEVERITY_WORDS[d['severity']]} {d['family'].replace('_', ' ')}" for d in worst]
    overall = ITU_LEVELS[row["overall"] - 1]
    wanted = f"A mid-tone blue smooth area with {', '.join(named)}. Overall {overall}."
    assert row["text"] == wanted


def test_places(astronaut):
    contents = [row["content"] for row in caption(astronaut, QUARTERS)]
    places = ["top left", "top right", "bottom left", "bottom right"]
    assert [content.split(", ")[1] for content in contents] == places
    assert {content.split(", ")[2] for content in contents} == {"25 % of the image"}


def test_the_same_twice_and_whatever_the_numbering(astronaut):
    first = caption(astronaut, QUARTERS)
    assert caption(astronaut, QUARTERS) == first
    turned = caption(astronaut, 3 - QUARTERS)[::-1]
    for a, b in zip(first, turned, strict=True):
        assert a["text"] == b["text"]
        assert named(a) == named(b)
