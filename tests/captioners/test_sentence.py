import pytest

from rsfiqa.captioners.reported import cap_severities
from rsfiqa.captioners.sentence import (
    caption_sentence,
    named_families,
    reason,
    revised_sentence,
)
from rsfiqa.vocabulary import ITU_LEVELS

NONE: list = []
TWO = [{"family": "contrast_low", "severity": 5}, {"family": "blur", "severity": 1}]
THREE = [*TWO, {"family": "haze", "severity": 4}]


@pytest.mark.parametrize(
    ("distortions", "overall", "expected"),
    [
        (NONE, 5, "A wall with no distortion. Overall excellent."),
        (NONE, 4, "A wall with no distortion. Overall good."),
        (NONE, 3, "A wall: no single cause found. Overall fair."),
        (NONE, 1, "A wall: no single cause found. Overall bad."),
        (TWO[1:], 5, "A wall with faint blur. Overall excellent."),
        (TWO, 1, "A wall with extreme loss of contrast and faint blur. Overall bad."),
        (
            THREE,
            3,
            "A wall with extreme loss of contrast, faint blur and strong haze. Overall fair.",
        ),
    ],
)
def test_a_sentence(distortions, overall, expected):
    assert caption_sentence("A wall", distortions, overall) == expected


@pytest.mark.parametrize("content", ["A wall", "A man with no distortion of his face: no. Overall"])
@pytest.mark.parametrize("distortions", [NONE, TWO[1:], THREE])
def test_a_sentence_with_another_level_is_that_of_a_caption(content, distortions):
    """From every level to every other, whatever the content says."""
    for before in range(1, 6):
        sentence = caption_sentence(content, distortions, before)
        for after, level in enumerate(ITU_LEVELS, 1):
            reported = cap_severities(distortions, level)
            expected = caption_sentence(content, reported, after)
            assert revised_sentence(sentence, distortions, reported, level) == expected


def test_a_failed_caption_stays_empty():
    assert revised_sentence("", [], [], "bad") == ""


def test_a_sentence_of_another_captioner_gets_the_level():
    revised = revised_sentence("Region 3 of 8.", TWO, TWO, "poor")
    assert revised == "Region 3 of 8. Overall poor."
    revised = revised_sentence("Region 3 of 8.", NONE, NONE, "poor")
    assert revised == "Region 3 of 8: no single cause found. Overall poor."


def test_the_reason_alone():
    assert reason(TWO, "bad") == "extreme loss of contrast and faint blur"
    assert [reason([], level) for level in ITU_LEVELS] == [
        *["no single cause found"] * 3,
        *["no distortion"] * 2,
    ]


def test_a_sentence_names_the_next_distortion_where_the_first_is_not_reported():
    sentence = caption_sentence("A wall", THREE[:2], 3)
    revised = revised_sentence(sentence, THREE, THREE[1:], "fair")
    assert revised == "A wall with faint blur and strong haze. Overall fair."
    revised = revised_sentence(sentence, THREE, [], "poor")
    assert revised == "A wall: no single cause found. Overall poor."


@pytest.mark.parametrize(
    ("level", "severities"),
    [("bad", [5, 1, 4]), ("fair", [5, 1, 4]), ("good", [2, 1, 2]), ("excellent", [])],
)
def test_what_would_contradict_the_level_is_reported_as_less_severe(level, severities):
    reported = cap_severities(THREE, level)
    assert [one["severity"] for one in reported] == severities
    sentence = caption_sentence("A wall", THREE[:2], 3)  # names the first two of three
    revised = revised_sentence(sentence, THREE, reported, level)
    assert ("extreme loss of contrast" in revised) == (level in ("bad", "fair"))
    assert ("slight loss of contrast" in revised) == (level == "good")
    assert ("no distortion" in revised) == (level == "excellent")
    assert ("faint blur" in revised) == (level != "excellent")


def test_a_watermark_has_no_severity():
    """It is there or not, in the reason of a picture as in the sentence of a region."""
    both = [{"family": "watermark", "severity": 2}, {"family": "noise", "severity": 3}]
    sentence = caption_sentence("A mid-tone area", both, 2)
    assert sentence == "A mid-tone area with a watermark and clear noise. Overall poor."
    assert named_families(sentence) == ["watermark", "noise"]
    assert named_families("A dog with a ball: no single cause found. Overall poor.") == []
    revised = revised_sentence(sentence, both, both[:1], "fair")
    assert revised == "A mid-tone area with a watermark. Overall fair."
