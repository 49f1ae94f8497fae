import math

import pytest

from rsfiqa.captioners.vlm.answer import Distortion
from rsfiqa.teach.examples import Example, correct_answer
from rsfiqa.teach.figures import figures_of


def example(*distortions: tuple[str, int], source: str = "a") -> Example:
    several = tuple(Distortion(family=f, severity=s) for f, s in distortions)
    text = correct_answer("a cup", several).model_dump_json()
    answer = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    return Example("a", source, "local", 0, several, "", (), (answer,))


def answer(*distortions: tuple[str, int]) -> str:
    return example(*distortions).answer.model_dump_json()


def test_correct_answers():
    tests = [example(), example(("blur", 1)), example(("noise", 5)), example(("blur", 3))]
    figures = figures_of(tests, [one.answer.model_dump_json() for one in tests])
    for name in ("valid_fraction", "family_accuracy", "severity_accuracy", "both_accuracy"):
        assert figures[name] == 1
    for rating in ("color", "noise", "artifact", "blur", "overall"):
        assert figures[f"{rating}_accuracy"] == 1
    assert figures["severity_srcc"] == pytest.approx(1)
    assert figures["blur_srcc"] == pytest.approx(1)
    assert figures["n"] == 4


def test_figures_by_hand():
    tests = [
        example(),
        example(("blur", 2)),
        example(("noise", 4)),
        example(("noise", 2)),
        example(("pixelation", 5)),
    ]
    texts = [
        answer(("noise", 1)),  # the region has no distortion
        answer(("blur", 2)),
        answer(("blur", 3), ("noise", 1)),  # the worst counts: another family, severity off by one
        answer(),  # no distortion is named: severity off by two
        '{"content": "cut',
    ]
    figures = figures_of(tests, texts)
    assert figures["valid_fraction"] == pytest.approx(4 / 5)
    assert figures["family_accuracy"] == pytest.approx(1 / 5)
    assert figures["family_accuracy_blur"] == 1
    assert figures["family_accuracy_none"] == 0
    assert figures["severity_accuracy"] == pytest.approx(1 / 4)
    assert figures["severity_within_one"] == pytest.approx(2 / 4)
    assert figures["both_accuracy"] == pytest.approx(1 / 4)
    assert figures["chance_family_accuracy"] == pytest.approx(2 / 5)  # always noise
    assert figures["chance_severity_accuracy"] == pytest.approx(2 / 4)  # always 2
    assert figures["chance_severity_within_one"] == pytest.approx(3 / 4)  # always 3
    # noise: correct are 5 5 2 3 5, answered 4 5 4 5 and an invalid answer
    assert figures["noise_accuracy"] == pytest.approx(1 / 5)
    assert figures["chance_noise_accuracy"] == pytest.approx(3 / 5)


def test_intervals_resample_photographs():
    """Of four photographs two are all correct, two all wrong."""
    tests = [example(("blur", 3), source=f"{i % 4}") for i in range(80)]
    texts = [answer(("blur", 3)) if i % 4 < 2 else answer(("noise", 1)) for i in range(80)]
    figures = figures_of(tests, texts)
    assert figures["family_accuracy"] == figures["severity_accuracy"] == 0.5
    # of 256 equally likely draws one has no correct photograph, 16 + 1 have one at most
    assert (figures["family_accuracy_low"], figures["family_accuracy_high"]) == (0, 1)
    alone = figures_of(tests[:1], texts[:1])
    assert alone["severity_within_one_low"] == alone["severity_within_one_high"] == 1


def test_one_of_two_distortions_is_enough():
    tests = [example(("blur", 2), ("compression", 4))]
    assert figures_of(tests, [answer(("blur", 1))])["family_accuracy"] == 1


def test_the_first_of_equals_is_the_worst():
    text = answer(("blur", 2), ("noise", 2))
    assert figures_of([example(("blur", 3))], [text])["family_accuracy"] == 1


def test_undefined_figures_are_left_out():
    texts = [answer(("blur", 3)), answer(("blur", 2))]
    figures = figures_of([example(("blur", 3))] * 2, texts)
    assert "blur_srcc" not in figures  # correlations of a constant
    assert "severity_srcc" not in figures
    assert "family_accuracy_noise" not in figures  # no example has noise
    assert not any(math.isnan(value) for value in figures.values())
