from decimal import Decimal

import pytest

from rsfiqa.cull.conditions import Conditions, Flag, Worst, parse_flag, parse_worst
from rsfiqa.errors import InputError
from rsfiqa.scale import MosScale
from rsfiqa.vocabulary import OWN_RATING, SEVERITIES, severity_of
from tests.support.culling import make_row


@pytest.mark.parametrize(
    ("text", "pictures", "count"),
    [("5%", 100, 5), ("5%", 101, 6), ("0.1%", 3, 1), ("100%", 7, 7), ("3", 2, 2), ("2", 9, 2)],
)
def test_percentages_are_rounded_up(text, pictures, count):
    assert parse_worst(text).count(pictures) == count


def test_a_percentage_is_exact():
    """In floating point 7 % of 100 is 7.000000000000001, which would be 8 pictures."""
    assert parse_worst("7%") == Worst("7%", Decimal(7), True)
    assert [parse_worst(f"{n}%").count(100) for n in range(1, 101)] == list(range(1, 101))


@pytest.mark.parametrize(
    "text", ["0%", "0", "0.0%", "101%", "1.5", "-5%", "5 %%", "five", "", "nan", "inf%", "1e2"]
)
def test_no_amount(text):
    with pytest.raises(InputError, match=r"--worst: must be a percentage above 0%.*; write --wo"):
        parse_worst(text)


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("damaged", Flag("damaged")),
        ("blur>=3", Flag("blur", ">=", 3)),
        (" noise > 2.5 ", Flag("noise", ">", 2.5)),
        ("overall<=2", Flag("overall", "<=", 2)),
        ("motion_blur>=1", Flag("motion_blur", ">=", 1)),
        ("blur≥3", Flag("blur", ">=", 3)),
    ],
)
def test_flags(text, flag):
    assert parse_flag(text) == flag


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blur", r"a bound must follow the name, found 'blur'; write it in quotes, --flag 'blur>="),
        ("overall", "write it in quotes, --flag 'overall<=2'"),
        ("haze=3", "a bound must follow|NAME>=SEVERITY.*--flag 'haze>=3'"),
        ("", "must be one of tiny, huge"),
        ("blur>=", "found 'blur>='; write it in quotes"),
        ("blur>=x", "found 'blur>=x'"),
        ("blurr>=3", "must name one of color, noise,.*; correct the name"),
        ("blur>=6", "severities lie in 0 to 5, found 'blur>=6'"),
        ("blur<=0", "ratings lie in 1 to 5, found 'blur<=0'"),
        ("blur>=0", "every picture has"),
        ("overall>=3", "write overall<=2"),
        ("haze<=2", "write haze>=3"),
        ("damaged>=1", "must name one of"),
        ("blur>=-1", "found"),
        ("blur>=1e1", "found"),
    ],
)
def test_no_flag(text, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_flag(text)
    assert "\n" not in str(caught.value)


def test_severities_of_ratings_are_those_of_the_vocabulary():
    for severity, rating in zip(SEVERITIES, OWN_RATING, strict=True):
        assert severity_of(rating) == pytest.approx(severity, abs=0.5)  # ratings are rounded
    assert severity_of(5) == 0
    assert severity_of(1) == 5


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("blur>=3", True),  # a rating of 2.6 is a severity of 3
        ("blur>3", False),
        ("blur<=2.6", True),
        ("blur<2.6", False),
        ("noise>=1", False),
        ("noise<=5", True),
        ("color<=5", False),  # not rated
        ("haze>=4", True),
        ("haze>=5", False),
        ("defocus>0", False),
        ("tiny", True),
        ("huge", False),
    ],
)
def test_what_holds(tmp_path, text, holds):
    row = make_row(tmp_path, 50, worst_blur=2.6, worst_color=None, flags=["tiny"])
    assert parse_flag(text).holds(row, {"haze": 4}) is holds


def test_without_regions_ratings_are_known_and_families_are_not(tmp_path):
    row = make_row(tmp_path, 50, worst_blur=2.6)
    assert parse_flag("blur>=3").holds(row, None)
    assert not parse_flag("haze>0").holds(row, None)
    assert parse_flag("haze>0").value(row, None) is None
    assert parse_flag("haze>0").value(row, {}) == 0


def test_ratings_of_the_whole_picture_come_first(tmp_path):
    row = make_row(tmp_path, 50, worst_blur=1.0, blur=4.5)
    assert not parse_flag("blur<=2").holds(row, {})


def test_conditions_in_words():
    conditions = Conditions(parse_worst("5%"), 40, (parse_flag("blur>=3"), parse_flag("tiny")))
    assert conditions.describe(MosScale(0, 100)) == (
        "among the worst 5% and score below 40 and severity of blur >= 3 and flagged tiny"
    )
    one = Conditions(None, 40, (parse_flag("noise<=2"),), is_any=True)
    assert one.describe(MosScale(0, 9, True)) == "score above 40 or rating of noise <= 2"
    assert not Conditions()
