import pytest

from rsfiqa.captioners.sentence import caption_sentence


@pytest.mark.parametrize(
    ("distortions", "expected"),
    [
        ([], "A wall with no distortion. Overall excellent."),
        (
            [{"family": "contrast_low", "severity": 5}, {"family": "blur", "severity": 1}],
            "A wall with extreme contrast low, faint blur. Overall excellent.",
        ),
    ],
)
def test_a_sentence(distortions, expected):
    assert caption_sentence("A wall", distortions, 5) == expected
