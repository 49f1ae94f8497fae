import json
import math

import pytest

from rsfiqa.caption.answer import RESPONSE_FORMAT, AnswerError, expectations, read_answer, sentence
from rsfiqa.captions import FAMILIES, LEVELS, RATINGS
from tests.caption.server import GOOD


def token(text: str, **others: float) -> dict:
    """A token of probability one half, and others of given probabilities."""
    top = [{"token": name, "logprob": math.log(share)} for name, share in others.items()]
    return {"token": text, "logprob": math.log(0.5), "top_logprobs": top}


def test_the_schema_names_every_family_level_and_rating():
    schema = RESPONSE_FORMAT["json_schema"]["schema"]
    assert tuple(schema["properties"])[2:] == RATINGS
    assert schema["additionalProperties"] is False
    assert tuple(schema["properties"]["overall"]["enum"]) == LEVELS
    assert tuple(schema["$defs"]["Distortion"]["properties"]["family"]["enum"]) == FAMILIES


def test_an_answer_is_read():
    found = read_answer(json.dumps(GOOD), "stop")
    assert (found.content, found.overall) == ("a wall", "fair")
    assert [(d.family, d.severity) for d in found.distortions] == [("blur", 2), ("noise", 4)]
    assert sentence(found) == "a wall with strong noise, slight blur. Overall fair."


def test_an_answer_without_distortions():
    found = read_answer(json.dumps(GOOD | {"distortions": [], "content": "Sky. "}), "stop")
    assert sentence(found) == "Sky with no distortion. Overall fair."


@pytest.mark.parametrize(
    ("text", "finish", "message"),
    [
        (json.dumps(GOOD), "length", "cut short by max_tokens"),
        ("", "stop", "empty"),
        (None, "stop", "empty"),
        ("  \n", "stop", "empty"),
        ('{"content": "a', "stop", "answer: Invalid JSON"),
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
    with pytest.raises(AnswerError, match="^" + message.replace(".", r"\.")):
        read_answer(text, finish)


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
