from hashlib import sha256

import numpy as np
import pytest
import skimage

from rsfiqa.captioners.rule_based.captioner import caption, rate
from rsfiqa.images.distort import distort
from rsfiqa.products import captions
from rsfiqa.products.captions import CaptionRow
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.superpixel import segment_image
from rsfiqa.vocabulary import FAMILIES, ITU_LEVELS, RATINGS, SEVERITY_WORDS, family_words
from tests.support.captioning import prediction_of

HALVES = np.repeat(np.repeat([[0, 1]], 128, 1), 256, 0).astype(np.uint16)
QUARTERS = np.repeat(np.repeat([[0, 1], [2, 3]], 128, 0), 128, 1).astype(np.uint16)


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(image + drawn, 0, 255).astype(np.uint8)


def placed(array: np.ndarray, offset: int) -> np.ndarray:
    """A copy that begins `offset` bytes after a multiple of 64."""
    memory = np.empty(array.nbytes + 128 + offset, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def named(row: CaptionRow) -> dict[str, int]:
    return {one["family"]: one["severity"] for one in row.distortions}


def test_families_lower_all_ratings_but_overall():
    assert {family.rating for family in FAMILIES.values()} == set(RATINGS) - {"overall"}


def test_ratings_by_hand():
    found = rate(prediction_of(0.2, noise=(0.5, 4), blur=(0.1, 2), contrast_low=(0.2, 3)))
    assert found["noise"] == pytest.approx(5 - 0.8 * 2)
    assert found["blur"] == pytest.approx(5 - 0.8 * 0.2)
    assert found["color"] == pytest.approx(5 - 0.8 * 0.6)
    assert found["artifact"] == 5
    mean = (3.4 + 4.84 + 4.52 + 5) / 4
    assert found["overall"] == pytest.approx((mean + 3.4) / 2)


@pytest.mark.parametrize("image", ["astronaut", "noise", "black", "white"])
def test_rows_fit_the_schema(image, request, astronaut):
    flat = {"black": np.zeros_like(astronaut), "white": np.full_like(astronaut, 255)}
    pixels = flat[image] if image in flat else request.getfixturevalue(image)
    step = len(QUARTERS) // len(pixels)
    rows = caption(pixels, QUARTERS[::step, ::step])
    table = captions.to_table({"a": rows})
    assert table.column_names == captions.SCHEMA.names
    assert table["region"].to_pylist() == [0, 1, 2, 3]
    assert table["status"].to_pylist() == ["ok"] * 4
    for row in table.to_pylist():
        assert set(row) == set(captions.SCHEMA.names)
        for name in RATINGS:
            assert 1 <= row[f"{name}_expected"] <= 5
            assert row[name] == round(row[f"{name}_expected"])
        assert all(1 <= one["severity"] <= 5 for one in row["distortions"])
        assert row["text"].endswith(f"Overall {ITU_LEVELS[row['overall'] - 1]}.")
        assert row["content"].count(",") == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_ratings_fall_with_the_level_in_the_distorted_half_alone(astronaut, family):
    rating = FAMILIES[family].rating
    intact = caption(astronaut, HALVES)
    rows = []
    for severity in (1, 3, 5):
        worse = distort(astronaut, family, severity, np.random.default_rng(0))
        image = np.concatenate([astronaut[:, :128], worse[:, 128:]], axis=1)
        rows.append(caption(image, HALVES))
    for row in rows:
        assert row[0].expectations[rating] == pytest.approx(intact[0].expectations[rating], abs=0.6)
    found = [row[1].expectations[rating] for row in rows]
    assert (np.diff(found) < 0.4).all()
    assert found[-1] < intact[1].expectations[rating] - 0.7


def test_the_sentence_names_the_worst_distortion_first(astronaut):
    row = caption(noisy(astronaut, 50), QUARTERS * 0)[0]
    worst = row.distortions[0]
    assert worst["family"] == "noise"
    assert f"with {SEVERITY_WORDS[worst['severity']]} noise" in row.text
    severities = [one["severity"] for one in row.distortions]
    assert severities == sorted(severities, reverse=True)


def test_the_sentence_by_hand():
    image = np.full((256, 256, 3), (0, 130, 220), np.uint8)  # hue 266 degrees in CIELAB
    image[::2, ::2] += 2
    (row,) = caption(image, QUARTERS * 0)
    assert row.content == "mid-tone blue smooth area, center, 100 % of the image"
    named = [
        f"{SEVERITY_WORDS[one['severity']]} {family_words(one['family'])}"
        for one in row.distortions[:2]
    ]
    overall = ITU_LEVELS[row.ratings["overall"] - 1]
    expected = f"A mid-tone blue smooth area with {' and '.join(named)}. Overall {overall}."
    assert row.text == expected


def test_places(astronaut):
    contents = [row.content for row in caption(astronaut, QUARTERS)]
    places = ["top left", "top right", "bottom left", "bottom right"]
    assert [content.split(", ")[1] for content in contents] == places
    assert {content.split(", ")[2] for content in contents} == {"25 % of the image"}


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_the_same_bits_wherever_the_pixels_lie_in_memory(name):
    image = getattr(skimage.data, name)()[:250, :300]
    labels = np.arange(image.shape[1], dtype=np.uint16) // 100 + np.zeros((250, 1), np.uint16)
    found, kept = [], []
    for offset in range(24):
        kept.append(np.empty(1000 * offset + 1, np.uint8))  # moves what is allocated later
        found.append(caption(placed(image, offset), placed(labels, 2 * offset)))
    assert all(rows == found[0] for rows in found)


def test_the_same_twice_and_whatever_the_numbering(astronaut):
    first = caption(astronaut, QUARTERS)
    assert caption(astronaut, QUARTERS) == first
    turned = caption(astronaut, 3 - QUARTERS)[::-1]
    for a, b in zip(first, turned, strict=True):
        assert a.text == b.text
        assert named(a) == named(b)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("astronaut", "3d39b02dff062b180634928be26586097bbc0b23b2c4f71883bedbb8935a8de5"),
        ("chelsea", "ffd2092149dd93eef1064362950cfddb6981836756622cad52d701bef4e4923c"),
    ],
)
def test_captions_of_photographs_stay_the_same(name, digest):
    """Recorded digests; expectations to four decimals, since BLAS may differ in the tenth."""
    image = getattr(skimage.data, name)()
    rows = caption(image, segment_image(image, SegmentOptions()))
    lines = [
        f"{row.region} {row.content} {list(row.ratings.values())} {row.text} {named(row)}"
        f" {[round(value, 4) for value in row.expectations.values()]}"
        for row in rows
    ]
    assert sha256("\n".join(lines).encode()).hexdigest() == digest
