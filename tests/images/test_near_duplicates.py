import numpy as np
import pytest
from PIL import Image
from skimage import data

from rsfiqa.images.near_duplicates import (
    BITS,
    MAX_DISTANCE,
    difference_hash,
    near_duplicates,
    nearest,
)


@pytest.fixture
def hashes():
    """Three random hashes of half the bits, bool (3, 256)."""
    random = np.random.default_rng(0)
    return np.stack([random.permutation(np.arange(BITS) % 2 == 0) for _ in range(3)])


def flipped(one: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([~one[:count], one[count:]])


def test_the_hash_of_a_ramp_and_of_its_mirror_image():
    ramp = np.tile(np.arange(0, 170, 2, dtype=np.uint8), (64, 1))
    image = np.stack([ramp] * 3, axis=-1)
    assert difference_hash(image).all()
    assert not difference_hash(np.ascontiguousarray(image[:, ::-1])).any()


@pytest.mark.parametrize("change", ["reduced", "compressed", "brighter"])
def test_a_photograph_is_a_near_duplicate_of_its_copies(change, tmp_path):
    image = data.chelsea()
    picture = Image.fromarray(image)
    if change == "reduced":
        picture = picture.resize((200, 133))
    elif change == "compressed":
        picture.save(tmp_path / "a.jpg", quality=20)
        picture = Image.open(tmp_path / "a.jpg")
    else:
        picture = picture.point(lambda value: min(255, round(value * 1.3)))
    others = [data.coffee(), data.astronaut()]
    hashes = np.stack([difference_hash(x) for x in (image, *others, np.asarray(picture))])
    assert near_duplicates(hashes).tolist() == [[0, 3]]


def test_pairs_up_to_the_largest_distance(hashes):
    near, far = flipped(hashes[0], MAX_DISTANCE), flipped(hashes[1], MAX_DISTANCE + 1)
    assert near_duplicates(np.stack([*hashes, near, far])).tolist() == [[0, 3]]


def test_pairs_in_different_blocks(hashes):
    random = np.random.default_rng(1)
    many = random.random((2500, BITS)) < 0.5
    many[2400] = many[7]
    assert near_duplicates(many).tolist() == [[7, 2400]]


def test_flat_images_are_near_duplicates_of_none():
    flat = np.zeros((3, BITS), bool)
    flat[1, :20] = flat[2, :236] = True
    assert near_duplicates(flat).shape == (0, 2)


def test_no_images():
    assert near_duplicates(np.empty((0, BITS), bool)).shape == (0, 2)


def test_the_nearest_come_first(hashes):
    far, near = flipped(hashes[0], 40), flipped(hashes[0], 20)
    found = nearest(np.stack([*hashes, far, near]), 84, 16)
    assert found.tolist() == [[0, 4], [3, 4], [0, 3]]  # 20, 20 and 40 bits


def test_pairs_beyond_the_largest_distance_are_left_out(hashes):
    found = nearest(np.stack([*hashes, flipped(hashes[0], 41)]), 40, 16)
    assert found.shape == (0, 2)


def test_each_image_is_paired_with_a_bounded_number_of_others():
    same = np.tile(np.arange(BITS) % 2 == 0, (50, 1))
    found = nearest(same, 84, 3)
    assert np.bincount(found[:, 0], minlength=50).tolist() == [3] * 47 + [2, 1, 0]


def test_no_nearest_images():
    assert nearest(np.empty((0, BITS), bool), 84, 3).shape == (0, 2)
    flat = np.zeros((3, BITS), bool)
    assert nearest(flat, 84, 3).shape == (0, 2)
