from datetime import datetime

import numpy as np
import pytest
from PIL import Image
from skimage import data

from rsfiqa.errors import ImageError
from rsfiqa.images import load
from rsfiqa.images.fingerprint import (
    LEAST,
    correlation,
    fingerprint,
    structure,
    unpack_hash,
    unpack_thumbnail,
)
from rsfiqa.images.near_duplicates import difference_hash, distance
from tests.support.bursts import save


def structure_of(path):
    return structure(unpack_thumbnail(fingerprint(str(path))["thumbnail"]))


def test_a_fingerprint_says_size_and_time_of_the_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x8769] = {0x9003: "2024:05:01 12:00:07", 0x9291: "25"}
    Image.fromarray(data.chelsea()).save(tmp_path / "a.jpg", exif=exif)
    found = fingerprint(str(tmp_path / "a.jpg"))
    assert (found["width"], found["height"]) == (300, 451)
    assert found["taken"] == datetime(2024, 5, 1, 12, 0, 7, 250_000).isoformat()
    assert found["size"] == (tmp_path / "a.jpg").stat().st_size


def test_a_jpeg_that_is_decoded_at_an_eighth_has_nearly_the_same_hash(tmp_path):
    image = np.asarray(Image.fromarray(data.astronaut()).resize((2048, 2048)))
    path = save(tmp_path / "a.jpg", image)
    assert load.load_reduced(path, LEAST).pixels.shape == (256, 256, 3)
    reduced = unpack_hash(fingerprint(str(path))["hash"])
    assert distance(reduced, difference_hash(image)) <= 4


def test_a_jpeg_without_its_end_is_mended_as_for_a_score(tmp_path):
    path = save(tmp_path / "a.jpg", data.astronaut())
    path.write_bytes(path.read_bytes()[:-400])
    whole = save(tmp_path / "b.jpg", data.astronaut())
    hashes = [unpack_hash(fingerprint(str(one))["hash"]) for one in (path, whole)]
    assert distance(*hashes) <= 4


def test_half_of_a_jpeg_is_refused(tmp_path):
    path = save(tmp_path / "a.jpg", data.astronaut())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError):
        fingerprint(str(path))


@pytest.mark.parametrize("change", ["shifted", "darker", "blurred", "cut"])
def test_frames_of_one_scene_correlate(tmp_path, change):
    image = data.astronaut()
    frame = {
        "shifted": image[20:, 24:],
        "darker": (image * 0.5).astype(np.uint8),
        "blurred": np.asarray(Image.fromarray(image).resize((40, 40)).resize((512, 512))),
        "cut": image[15:-15, 15:-15],
    }[change]
    pair = [save(tmp_path / f"{i}.png", one) for i, one in enumerate((image[:-20, :-24], frame))]
    assert correlation(*map(structure_of, pair)) >= 0.7


def test_other_scenes_do_not(tmp_path):
    scenes = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    found = [structure_of(save(tmp_path / f"{i}.png", one)) for i, one in enumerate(scenes)]
    for i in range(4):
        for j in range(i):
            assert correlation(found[i], found[j]) < 0.5


def test_two_horizons_are_not_one_scene():
    """Bands of light and dark, with other grain: what sunsets at sea have in common."""
    random = np.random.default_rng(0)
    bands = np.repeat([200, 60, 90, 40], 8)[:, None] + np.zeros((1, 32))
    pair = [np.clip(bands + random.normal(0, 4, (32, 32)), 0, 255) for _ in range(2)]
    assert correlation(*(structure(one.astype(np.uint8)) for one in pair)) < 0.5


def test_a_plain_surface_correlates_with_nothing():
    flat, other = np.full((32, 32), 90, np.uint8), np.arange(1024).reshape(32, 32) % 251
    assert correlation(structure(flat), structure(flat)) == 0
    assert correlation(structure(flat), structure(other.astype(np.uint8))) == 0
