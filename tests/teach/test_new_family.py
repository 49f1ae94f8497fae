"""A distortion family is added by one registration and its function."""

import numpy as np
import pytest
from pydantic import ValidationError

from rsfiqa.captioners.vlm.answer import Answer, Distortion, read_answers
from rsfiqa.images.distort import distort, distort_region, draw_distortion
from rsfiqa.teach import examples, views
from rsfiqa.teach.figures import figures_of
from rsfiqa.teach.ratings import ratings_of
from rsfiqa.vocabulary import FAMILIES, Family, augmentation_families, imaging_order
from tests.support.teach import make_examples

LEFT = np.s_[:, :40]


def haze(image: np.ndarray, severity: int, _random: np.random.Generator) -> np.ndarray:
    return np.rint(image + (255.0 - image) * severity / 8).astype(np.uint8)


@pytest.fixture
def family():
    """The name of a registered family that the package does not have."""
    before = dict(FAMILIES)
    FAMILIES.register(
        "haze",
        Family(
            rating="color",
            overall=(4, 4, 3, 2, 2),
            side_effects={"blur": (5, 5, 4, 4, 3)},
            step="light",
            variants=(f"{__name__}:haze",),
            opposite="contrast_high",
            augmentation=True,
        ),
    )
    yield "haze"
    FAMILIES.remove("haze")
    assert dict(FAMILIES) == before


@pytest.fixture
def image():
    """Noise, uint8 (60, 80, 3)."""
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)


def test_images_and_regions_are_distorted_by_it(family, image):
    random = np.random.default_rng(0)
    np.testing.assert_array_equal(distort(image, family, 4, random), haze(image, 4, random))
    mask = np.zeros(image.shape[:2], bool)
    mask[LEFT] = True
    result = distort_region(image, mask, family, 4, random)
    assert (result[:, :30] >= image[:, :30]).all()
    assert (result[LEFT] != image[LEFT]).mean() > 0.8
    np.testing.assert_array_equal(result[:, 50:], image[:, 50:])


def test_augmentation_draws_it(family):
    assert augmentation_families()[-1] == family
    random = np.random.default_rng(0)
    assert family in {draw_distortion(random)[0] for _ in range(60)}


def test_views_draw_it_in_imaging_order_and_never_with_its_opposite(family):
    random, order = np.random.default_rng(0), imaging_order()
    drawn = [views.draw_distortions(random, two_distortions_fraction=1.0) for _ in range(400)]
    pairs = [tuple(one.family for one in pair) for pair in drawn]
    assert order.index(family) < order.index("blur")
    assert ("haze", "blur") in pairs
    assert not any({"haze", "contrast_high"} == set(pair) for pair in pairs)


def test_it_lowers_ratings_and_is_part_of_answers(family):
    hazy = Distortion(family=family, severity=5)
    assert ratings_of([hazy]) == {"color": 1, "noise": 5, "artifact": 5, "blur": 3, "overall": 2}
    schema = Answer.model_json_schema()
    assert family in schema["$defs"]["Distortion"]["properties"]["family"]["enum"]
    answer = examples.correct_answer("a street", [hazy])
    assert read_answers(answer.model_dump_json(), "stop") == [answer]


def test_examples_and_figures_have_it(family, photographs, tmp_path):
    make_examples(tmp_path, photographs, parts=("test",))
    tests = examples.read(tmp_path / "test.jsonl")
    hazy = [one for one in tests if [d.family for d in one.distortions] == [family]]
    assert [one.distortions[0].severity for one in hazy] == [1, 2, 3, 4, 5]
    assert len(tests) == 65 + 5
    figures = figures_of(tests, [one.answer.model_dump_json() for one in tests])
    assert figures["family_accuracy_haze"] == 1


def test_nothing_is_left_after_its_removal():
    assert "haze" not in (*FAMILIES, *imaging_order(), *augmentation_families())
    assert "haze" not in str(Answer.model_json_schema())
    with pytest.raises(ValidationError, match="input should be one of noise, blur"):
        Distortion(family="haze", severity=1)
