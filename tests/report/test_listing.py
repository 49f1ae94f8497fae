import json

import numpy as np
import pytest

from rsfiqa.captioners.sentence import caption_sentence
from rsfiqa.products.scores import failed_row
from rsfiqa.report import listing
from rsfiqa.report.scored_pictures import address
from rsfiqa.scale import MosScale
from rsfiqa.vocabulary import REALISTIC_FAMILIES, family_words

SCALE = MosScale(0, 100)
STATE = {"location": "/p/a.png", "size": 1, "modified": None}


def row(score: float | None, **others) -> dict:
    failed = failed_row("a.png", STATE, SCALE, "c")
    return {**failed, "score": score, "status": "failed" if score is None else "ok", **others}


def decoded(column: dict, i: int):
    """What the script of the page reads."""
    if "all" in column:
        return column["all"]
    if "of" in column:
        return column["of"][column["at"][i]]
    return column["prefix"] + column["rest"][i] if "rest" in column else column["is"][i]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "a", "a"], "all"),
        ([None, None], "all"),
        (["x", "y", "x", "y"], "of"),
        (["/p/a.png", "/p/b.png", "/p/a.jpg"], "rest"),
        (["", "/p"], "rest"),
        ([1.5, None, 2.5], "is"),
        ([["noise"], []], "is"),
        (["text", None], "is"),
        ([], "rest"),
    ],
)
def test_a_column_is_read_as_it_was(values, kind):
    column = listing.encode(values)
    assert kind in column or not values
    assert [decoded(column, i) for i in range(len(values))] == values


def test_numbers_have_seven_digits():
    assert listing.encode([1 / 3, 200 / 3])["is"] == [0.3333333, 66.66667]
    assert listing.encode([1.0, float("inf")])["is"] == [1, None]  # JSON has none


def test_json_ends_no_element():
    text = listing.as_json({"name": "</script><!--"})
    assert "<" not in text
    assert json.loads(text) == {"name": "</script><!--"}


def test_the_histogram_counts_scores_beyond_the_scale_at_its_ends():
    bars = listing.histogram(np.array([-6.0, 0.0, 42.0, 100.0, 107.0]), SCALE)
    assert len(bars) == listing.BINS
    assert [(bar.low, bar.count) for bar in bars if bar.count] == [(0, 2), (40, 1), (95, 2)]
    assert bars[8].percent == 50


def test_percentiles_count_equal_scores_half():
    rows = [row(10.0), row(20.0), row(20.0), row(30.0), row(None)]
    assert listing.percentiles(rows, SCALE) == [12.5, 50, 50, 87.5, None]
    lower = MosScale(0, 100, lower_better=True)
    assert listing.percentiles(rows, lower) == [87.5, 50, 50, 12.5, None]
    assert listing.percentiles([row(None)], SCALE) == [None]


def test_problems_are_distortions_flags_and_failures():
    found = listing.problems_of(
        row(
            5.0,
            worst_caption="A dark green area with many leaves with strong noise, faint haze and"
            " clear motion blur. Overall bad.",
            flags=["tiny"],
        )
    )
    assert found == ["noise", "haze", "motion blur", "tiny"]
    assert listing.problems_of(row(None)) == ["failed"]
    assert listing.problems_of(row(5.0, worst_caption=None)) == []
    for plain in ("A sky with no distortion. Overall good.", "A sky: no single cause found.", "x"):
        assert listing.problems_of(row(5.0, worst_caption=plain)) == []


@pytest.mark.parametrize("family", list(REALISTIC_FAMILIES))
def test_every_family_is_found_in_its_sentence(family):
    named = [{"family": family, "severity": 3}, {"family": "noise", "severity": 1}]
    text = caption_sentence("A wall with strong colors", named, 2)
    assert listing.problems_of(row(5.0, worst_caption=text)) == [family_words(family), "noise"]


def test_a_link_is_relative_below_the_folder_of_the_page(tmp_path):
    assert address(tmp_path / "a b/ü#?.png", tmp_path) == "a%20b/%C3%BC%23%3F.png"
    assert address(tmp_path / "a.png", tmp_path / "pages") == (tmp_path / "a.png").as_uri()
    assert address(tmp_path / "javascript:alert(1).png", tmp_path).startswith("javascript%3A")


def test_families_of_all_regions_are_problems_where_they_are_known():
    """After those of the worst region, each once, in words; those of too small a part are none."""
    of_worst = row(50, worst_caption="A sky with strong noise. Overall poor.", flags=["tiny"])
    severities = {"motion_blur": 4, "noise": 1, "haze": 0}
    assert listing.problems_of(of_worst, severities) == ["noise", "motion blur", "tiny"]
    assert listing.problems_of(of_worst) == ["noise", "tiny"]
    assert listing.problems_of(row(None), severities) == ["failed"]
