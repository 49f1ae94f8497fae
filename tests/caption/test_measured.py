import cv2
import numpy as np
import pyarrow as pa
import pytest
import skimage

from rsfiqa import captions
from rsfiqa.caption.measured import FAMILIES_OF, SEVERITY, caption
from rsfiqa.captions import SEVERITY_WORDS

QUARTERS = np.repeat(np.repeat([[0, 1], [2, 3]], 64, 0), 64, 1).astype(np.uint16)


@pytest.fixture(scope="module")
def astronaut():
    """A photograph, uint8 (128, 128, 3)."""
    return cv2.resize(skimage.data.astronaut(), (128, 128), interpolation=cv2.INTER_AREA)


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(image + drawn, 0, 255).astype(np.uint8)


def named(row: dict) -> dict[str, int]:
    return {found["family"]: found["severity"] for found in row["distortions"]}


def test_families_are_those_of_the_schema():
    assert set(SEVERITY) <= set(captions.FAMILIES)
    assert set(FAMILIES_OF) == set(captions.RATINGS) - {"overall"}
    assert {family for families in FAMILIES_OF.values() for family in families} == set(SEVERITY)


@pytest.mark.parametrize("image", ["astronaut", "noise", "black", "white"])
def test_rows_fit_the_schema(image, request, astronaut):
    flat = {"black": np.zeros_like(astronaut), "white": np.full_like(astronaut, 255)}
    pixels = flat[image] if image in flat else request.getfixturevalue(image)
    rows = caption(
        pixels, QUARTERS[: len(pixels), : len(pixels)] if len(pixels) > 64 else QUARTERS[::2, ::2]
    )
    table = pa.Table.from_pylist([{"image_id": "a", **row} for row in rows], captions.SCHEMA)
    assert table.column_names == captions.SCHEMA.names
    assert table["region"].to_pylist() == [0, 1, 2, 3]
    assert table["status"].to_pylist() == ["ok"] * 4
    for row in table.to_pylist():
        assert set(row) == set(captions.SCHEMA.names)
        for name in captions.RATINGS:
            assert 1 <= row[f"{name}_expected"] <= 5
            assert row[name] == round(row[f"{name}_expected"])
        assert all(1 <= level <= 5 for level in named(row).values())
        assert row["text"].endswith(f"Overall {captions.LEVELS[row['overall'] - 1]}.")
        assert row["content"].count(",") == 2


@pytest.mark.parametrize(
    ("family", "rating", "distort", "amounts"),
    [
        ("noise", "noise", noisy, (6, 12, 24, 50)),
        ("blur", "blur", lambda x, s: cv2.GaussianBlur(x, (0, 0), s), (1, 2, 4, 8)),
        ("underexposure", "color", lambda x, s: (x / s).astype(np.uint8), (4, 8, 16, 64)),
        (
            "overexposure",
            "color",
            lambda x, s: np.clip(x.astype(int) + s, 0, 255).astype(np.uint8),
            (60, 120, 160, 240),
        ),
    ],
)
def test_severity_rises_and_ratings_fall_with_the_level(
    astronaut, family, rating, distort, amounts
):
    rows = [caption(distort(astronaut, amount), QUARTERS * 0)[0] for amount in amounts]
    severities = [named(row).get(family, 0) for row in rows]
    assert severities == sorted(severities)
    assert severities[-1] >= severities[0] + 2
    ratings = [row[f"{rating}_expected"] for row in rows]
    assert ratings == sorted(ratings, reverse=True)
    assert rows[-1]["overall"] < rows[0]["overall"]


def test_the_sentence_names_the_worst_distortion_first(astronaut):
    row = caption(noisy(astronaut, 50), QUARTERS * 0)[0]
    worst = row["distortions"][0]
    assert worst["family"] == "noise"
    assert f"with {SEVERITY_WORDS[worst['severity']]} noise" in row["text"]
    severities = [found["severity"] for found in row["distortions"]]
    assert severities == sorted(severities, reverse=True)


def test_the_sentence_by_hand():
    image = np.full((128, 128, 3), (0, 130, 220), np.uint8)  # hue 266 degrees in CIELAB
    image[::2, ::2] += 2
    (row,) = caption(image, QUARTERS * 0)
    assert row["content"] == "mid-tone blue smooth area, center, 100 % of the image"
    assert row["text"] == "A mid-tone blue smooth area with extreme contrast low. Overall poor."


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
