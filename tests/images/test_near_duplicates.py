import numpy as np
import pytest
from PIL import Image
from skimage import data

from rsfiqa.images.near_duplicates import BITS, MAX_DISTANCE, difference_hash, near_duplicates


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
