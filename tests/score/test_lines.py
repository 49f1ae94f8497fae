"""What the score command prints."""

import pytest

from rsfiqa.scale import MosScale
from rsfiqa.score.lines import failed_line, picture_line, region_lines
from rsfiqa.score.result import Region

SCALE = MosScale(0, 100)
LIMITS = {"low": 0.0, "high": 100.0, "direction": "higher"}
RATINGS = {"color": 4.0, "noise": 5.0, "artifact": 4.5, "blur": 1.25, "overall": 2.0}


def region(cost: float, text: str, box=(0, 10, 200, 3000)) -> Region:
    return Region(
        box=box,
        content="",
        text=text,
        ratings=RATINGS,
        distortions=[],
        area=0.5,
        score=50.0,
        quality=0.5,
        weight=0.25,
        cost=cost,
    )


def test_regions_by_cost_with_the_numbers_of_the_page():
    lines = region_lines([region(1, "A sky."), region(12.5, "A road."), region(3, "")], None, SCALE)
    assert lines[0].split() == ["region", "cost", "weight", "score", "box", "what"]
    assert [line.split()[0] for line in lines[1:]] == ["2", "3", "1"]
    assert lines[1].split()[1:7] == ["12.50", "25.0%", "50.00", "0,10", "to", "200,3000"]
    assert lines[1].endswith("A road. [color 4.0, noise 5.0, artifact 4.5, blur 1.2, overall 2.0]")
    assert "caption failed [color" in lines[2]
    at = {
        line.index(word) for line, word in zip(lines, ("what", "A road", "cap", "A s"), strict=True)
    }
    assert len(at) == 1  # under the header
    assert region_lines([], None, SCALE) == []
    given = region_lines(
        [region(1, "A sky.", (0, 0, 9, 9)), region(2, "A road.")], None, SCALE, [0, 0, 9, 9]
    )
    assert ["given: " in line for line in given] == [False, False, True]
    limited = region_lines([region(1, "A sky.")], None, MosScale(60, 100))
    assert limited[1].split()[3] == "60.00"


@pytest.mark.parametrize("width", [20, 80, 120])
def test_sentences_are_wrapped_to_the_terminal(width):
    text = "A mid-tone orange textured area with extreme motion blur. Overall bad."
    lines = region_lines([region(1, text), region(2, text)], width, SCALE)
    if width > 100:
        assert max(map(len, lines)) <= width
    (start,) = {line.index("A mid-tone") for line in lines if "A mid-tone" in line}
    rest = " ".join(line[start:] for line in lines[1:])
    assert rest.count(text) == 2
    assert all(len(line) - start <= max(24, width - start) for line in lines)


@pytest.mark.parametrize(("score", "shown"), [(-1.11, "0.00"), (63.256, "63.26"), (101, "100.00")])
def test_a_score_is_shown_within_the_scale(score, shown):
    why = {"reason": "The picture is noisy, all over.", "worst_caption": "A sky. Overall bad."}
    row = {
        "status": "ok",
        "score": score,
        "low": 0.0,
        "direction": "higher",
        "high": 100.0,
        "path": "a.jpg",
        "damage": None,
    }
    line = picture_line(row | why | {"word": "bad"})
    assert line.split()[:3] == [shown, "a.jpg", "bad:"]
    assert line.endswith("The picture is noisy, all over. (worst region: A sky. Overall bad.)")
    boxed = picture_line(row | why | {"word": "bad", "inside": "box 0,0,9,9"})
    assert boxed.endswith("(given region: A sky. Overall bad.)")


def test_damage_is_said_and_no_name_steers_the_terminal():
    row = {
        "status": "ok",
        "score": 50.0,
        **LIMITS,
        "path": "a\x1b[31m\nb.jpg",
    }
    row |= {"word": "fair", "reason": "noisy, all over", "worst_caption": "A sky."}
    line = picture_line(row | {"damage": "about 2% of the picture is missing"})
    assert line == (
        "   50.00  a\\x1b[31m\\nb.jpg  fair: noisy, all over; damaged: about 2% of the picture is"
        " missing (worst region: A sky.)"
    )
    failed = {"path": "a\nb.jpg", "reason": "empty file", "status": "failed"}
    assert picture_line(failed) == "  failed  a\\nb.jpg: empty file"
    assert failed_line([failed], all_named=False, table=None) == "failed: a\\nb.jpg (empty file)"


def test_failures_are_named():
    rows = [{"path": f"{i}.jpg", "reason": "empty file", "status": "failed"} for i in range(5)]
    assert picture_line(rows[0]) == "  failed  0.jpg: empty file"
    three = "failed: 0.jpg (empty file); 1.jpg (empty file); 2.jpg (empty file)"
    assert failed_line(rows[:3], all_named=False, table=None) == three
    more = failed_line(rows, all_named=False, table="s.csv")
    assert more == f"{three}; and 2 more, see s.csv"
    assert failed_line(rows, all_named=False, table=None).endswith("2 more, --verbose names them")
    assert failed_line(rows, all_named=True, table=None).count("empty file") == 5
