import json
import math
import re

import pytest

from rsfiqa.captioners.vlm.answer import (
    AnswerError,
    expectations,
    read_answers,
    response_format,
    sentence,
)
from rsfiqa.captioners.vlm.completion import Candidate, Token
from rsfiqa.vocabulary import FAMILIES, ITU_LEVELS, RATINGS
from tests.support.completion_server import GOOD


def token(text: str, **others: float) -> Token:
    """A token of probability one half, and others of given probabilities."""
    top = [Candidate(name, math.log(fraction)) for name, fraction in others.items()]
    return Token(text, math.log(0.5), top)


def test_the_schema_names_every_family_level_and_rating():
    schema = response_format(None)["json_schema"]["schema"]
    assert tuple(schema["properties"])[2:] == RATINGS
    assert schema["additionalProperties"] is False
    assert tuple(schema["properties"]["overall"]["enum"]) == ITU_LEVELS
    assert tuple(schema["$defs"]["Distortion"]["properties"]["family"]["enum"]) == tuple(FAMILIES)


def test_an_answer_is_read():
    (found,) = read_answers(json.dumps(GOOD), "stop")
    assert (found.content, found.overall) == ("a wall", "fair")
    assert [(d.family, d.severity) for d in found.distortions] == [("blur", 2), ("noise", 4)]
    assert sentence(found) == "a wall with strong noise and slight blur. Overall fair."


def test_an_answer_without_distortions():
    (found,) = read_answers(json.dumps(GOOD | {"distortions": [], "content": "Sky. "}), "stop")
    assert sentence(found) == "Sky: no single cause found. Overall fair."


@pytest.mark.parametrize(
    ("text", "finish", "message"),
    [
        (json.dumps(GOOD), "length", "cut short by max_tokens"),
        ("", "stop", "empty"),
        (None, "stop", "empty"),
        ("  \n", "stop", "empty"),
        ('{"content": "a', "stop", "answer: not JSON (Unterminated string"),
        ("[" * 10**5, "stop", "answer: not JSON (maximum recursion"),
        ("[]", "stop", "answer: Input should be a valid dictionary"),
        (json.dumps(GOOD | {"overall": "great"}), "stop", "overall: Input should be 'bad', 'poor'"),
        (json.dumps(GOOD | {"more": 1}), "stop", "more: Extra inputs are not permitted"),
        (
            json.dumps(GOOD | {"distortions": [{"family": "blur", "severity": 6}]}),
            "stop",
            "distortions.0.severity: Input should be less than or equal to 5",
        ),
    ],
)
def test_answers_that_cannot_be_used(text, finish, message):
    with pytest.raises(AnswerError, match="^" + re.escape(message)):
        read_answers(text, finish)


def test_the_expectation_over_the_words_by_hand():
    # "e" and "ex" both begin excellent; the space is no word; the rest is renormalised
    tokens = [token('{"overall": "'), token("good", e=0.2, ex=0.1, fair=0.1, **{" ": 0.1})]
    # good 0.5, excellent 0.3, fair 0.1, of 0.9 in all
    expected = (4 * 0.5 + 5 * 0.3 + 3 * 0.1) / 0.9
    assert expectations([*tokens, token('"}')])["overall"] == pytest.approx(expected)


def test_a_token_may_hold_more_than_the_word():
    tokens = [
        token('{"blur":'),
        token(' "p', **{' "b': 0.25, ' "x': 0.25, '"': 0.1}),
        token('oor"'),
    ]
    assert expectations(tokens)["blur"] == pytest.approx((2 * 0.5 + 1 * 0.25) / 0.75)


def test_a_word_in_the_content_is_no_rating():
    text = '{"content": "a \\"color\\": \\"bad\\" sign", "color": "good"}'
    tokens = [token(c) for c in text]
    assert expectations(tokens)["color"] == pytest.approx(4)


def test_what_is_missing_has_no_expectation():
    found = expectations([token('{"color": "'), token("zzz")])
    assert found == dict.fromkeys(RATINGS)
    assert expectations([]) == dict.fromkeys(RATINGS)


def test_control_characters_do_not_invalidate_an_answer():
    (found,) = read_answers(json.dumps(GOOD).replace("a wall", "a\twhite\x01 wall"), "stop")
    assert sentence(found).startswith("a white\x01 wall with")


def test_answers_about_several_regions_are_read_in_their_order():
    text = json.dumps({"region_1": GOOD, "region_2": GOOD | {"content": "a door"}})
    assert [found.content for found in read_answers(text, "stop", 2)] == ["a wall", "a door"]
    required = response_format(11)["json_schema"]["schema"]["required"]
    assert required == [f"region_{i}" for i in range(1, 12)]


@pytest.mark.parametrize("number", [1, 3])
def test_an_answer_about_another_number_of_regions(number):
    text = json.dumps({"region_1": GOOD, "region_2": GOOD})
    with pytest.raises(AnswerError, match=r"^region_\d: "):
        read_answers(text, "stop", number)


def test_expectations_are_those_of_the_region():
    parts = ['{"region_1": {"blur": "', "poor", '"}, "region_2": {"blur": "', "good", '"}}']
    tokens = [token(part) for part in parts]
    assert expectations(tokens, 1)["blur"] == pytest.approx(2)
    assert expectations(tokens, 2)["blur"] == pytest.approx(4)
