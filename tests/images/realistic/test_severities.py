"""The calibrated strengths: the table that comes with the package, and how it is made."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from recipes.severities import ENDS, color, even_strengths, mean_measure, structure
from rsfiqa.datasets import demo
from rsfiqa.images.realistic.severities import strength_of, strengths
from rsfiqa.registry import resolve
from rsfiqa.vocabulary import REALISTIC_FAMILIES, SEVERITIES

FUNCTIONS = {
    target.partition(":")[2]: target
    for family in REALISTIC_FAMILIES.values()
    for target in family.variants
}
PHOTOGRAPHS = ("skimage/data/astronaut.png", "skimage/data/coffee.png", "skimage/data/chelsea.png")


@cache
def photographs() -> dict[str, np.ndarray]:
    return {source: demo.photograph(source, 384) for source in PHOTOGRAPHS}


def test_every_variant_has_rising_strengths_between_its_ends():
    assert set(strengths()) == set(FUNCTIONS) == set(ENDS)
    for name, values in strengths().items():
        assert len(values) == len(SEVERITIES)
        assert list(values) == sorted(set(values))
        assert (values[0], values[-1]) == ENDS[name][:2]
        assert strength_of(name, 1) == values[0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_steps_are_about_even_on_photographs_of_another_size(name):
    """Steps vary with the photographs; those of the calibration differ by rounding alone."""
    function = resolve(FUNCTIONS[name])
    values = [
        mean_measure(function, ENDS[name][2], photographs(), strength)
        for strength in (strengths()[name])
    ]
    steps = np.diff(values)
    assert (steps > 0).all()
    assert steps.max() < 1.7 * steps.mean(), steps
    assert steps.min() > 0.5 * steps.mean(), steps


def test_even_strengths_of_a_known_measure():
    assert even_strengths(lambda x: x * x, 1.0, 3.0) == pytest.approx(
        [1, 3**0.5, 5**0.5, 7**0.5, 3], abs=0.03
    )


def test_the_measures_of_equal_and_of_different_images():
    image = photographs()[PHOTOGRAPHS[0]]
    assert (structure(image, image), color(image, image)) == (0, 0)
    white, grey = (np.full((16, 16, 3), value, np.uint8) for value in (255, 119))
    assert color(white, grey) == pytest.approx(36.5, abs=0.2)  # 50 / S_L, which is 1.369 at L* 75


def test_the_documented_strengths_are_those_of_the_table():
    page = Path(__file__).resolve().parents[3] / "docs/pipeline/distortions.md"
    text = page.read_text("utf-8").partition("| variant | severity")[2]
    rows = dict(re.findall(r"^\| (\w+) \| ([\d., ]+) \| .* \|$", text, re.MULTILINE))
    expected = {name: ", ".join(f"{x:g}" for x in values) for name, values in strengths().items()}
    assert rows == expected
