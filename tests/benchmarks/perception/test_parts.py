"""Figures of the parts from assessments, and the command line."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks import perception
from benchmarks.perception import command, ladders, mmp2k, realistic, sets, speed
from benchmarks.perception.assess import Assessment
from rsfiqa.errors import InputError
from rsfiqa.products.statements import Statement
from rsfiqa.vocabulary import REALISTIC_FAMILIES


def assessment(center, worst, **changes):
    """Of regions with these centers."""
    count = len(center)
    values = {
        "score": 50.0,
        "quality": 0.5,
        "overall": np.full(count, 3.0),
        "weight": np.full(count, 1 / count),
        "center": np.array(center, float),
        "worst": worst,
        "named": (),
        "text": "",
    }
    return Assessment(**(values | changes))


def test_places_are_compared_where_people_point():
    found = [
        assessment([(0.5, 0.5), (0.1, 0.5), (0.2, 0.9)], worst=1),
        assessment([(0.5, 0.5), (0.9, 0.1)], worst=0),
        assessment([(0.1, 0.1)], worst=0),
    ]
    said = [
        [Statement("defocus", 3, "left")],
        [Statement("defocus", 3, "top right"), Statement("noise_or_artifact", 1, "center")],
        [Statement("defocus", 3, "entire image")],
    ]
    figures = mmp2k.places(found, said)
    assert figures["mmp2k_place_hit"] == 0.5
    assert figures["mmp2k_place_hit_n"] == 2
    assert figures["mmp2k_place_random"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert figures["mmp2k_place_largest"] == 0.0


def test_opinions_are_ranked():
    overall = [(1.0, 5.0), (2.0, 3.0), (3.0, 4.0)]
    found = [
        assessment([(0, 0), (0, 0)], 0, overall=np.array(ratings), quality=quality)
        for ratings, quality in zip(overall, (0.1, 0.2, 0.3), strict=True)
    ]
    figures = mmp2k.opinions(found, np.array([10.0, 30.0, 20.0]))
    assert figures["mmp2k_worst_overall_score_srcc"] == 1.0
    assert figures["mmp2k_score_srcc"] == 0.5
    # weighted 3, 2.5, 3.5 ranks 2, 1, 3 against 1, 3, 2: 1 - 6 * (1 + 4 + 1) / 24
    assert figures["mmp2k_overall_srcc"] == pytest.approx(-0.5)


def test_factors_are_compared_with_what_people_named():
    seen = ({"defocus": 3.0}, {"defocus": 1.0, "overexposure": 2.0}, {"defocus": 0.5, "haze": 4.0})
    severities = [np.array([one.get(name, 0.0) for name in REALISTIC_FAMILIES]) for one in seen]
    found = [
        mmp2k.PhotographAssessment(severity, assessment([(0, 0)], 0)) for severity in severities
    ]
    said = [[Statement("defocus", 5, "left")], [Statement("overexposure", 1, "left")], []]
    figures = mmp2k.factors(found, said)
    assert figures["mmp2k_factor_auc_defocus"] == 1.0
    assert figures["mmp2k_factor_auc_overexposure"] == 1.0
    assert figures["mmp2k_factor_auc"] == 1.0
    assert "mmp2k_factor_auc_underexposure" not in figures  # nobody named it
    # severities 3, 1, .5 against 5, 0, 0: ranks 3, 2, 1 and 3, 1.5, 1.5
    assert figures["mmp2k_severity_srcc_defocus"] == pytest.approx(np.sqrt(3) / 2)


def test_low_scores_without_a_reason_are_counted():
    found = [
        assessment([(0, 0)], 0, quality=0.2, text="sky with no distortion."),
        assessment([(0, 0)], 0, quality=0.4, text="no single cause found"),
        assessment([(0, 0)], 0, quality=0.9, text="sky with no distortion."),
    ]
    figures = sets.low_without_reason(found)
    assert (figures["low_without_reason"], figures["low_without_reason_n"]) == (0.5, 2)


def test_images_of_livec_that_the_packaged_checkpoint_learned_from_are_counted():
    found = sets.trained_fraction(None, ["10.bmp", "100.bmp", "unknown.bmp", "1000.JPG"])
    assert (found["livec_trained"], found["livec_trained_n"]) == (0.75, 4)


@pytest.mark.parametrize(
    ("name", "generator"),
    [("AttnGAN_normal_000.jpg", "AttnGAN"), ("a/sd1.5_lowstep_012.jpg", "sd1.5")],
)
def test_generator_of_a_name(name, generator):
    assert sets.generator_of(name) == generator


def test_the_least_ladder_is_reported():
    found = {
        name: {f"ladder_pairs_{name}": value, f"ladder_pairs_{name}_n": 10}
        for name, value in (("haze", 0.9), ("rain", 0.4))
    }
    assert ladders.least(found) == {"ladder_pairs": 0.4, "ladder_pairs_n": 10}


def test_views_take_families_in_turn_and_are_reproducible():
    views = [view for i in range(100) for view in realistic.views_of(i, Path("x"))]
    assert views == [view for i in range(100) for view in realistic.views_of(i, Path("x"))]
    assert Counter(len(view.chain) for view in views) == {0: 100, 1: 300, 2: 200, 3: 100}
    singles = Counter(view.chain[0].family for view in views if len(view.chain) == 1)
    assert singles.keys() == set(REALISTIC_FAMILIES)
    assert max(singles.values()) - min(singles.values()) <= 1
    assert sum(view.regional for view in views) == 200


def test_realistic_figures_of_perfect_severities():
    views = [view for i in range(30) for view in realistic.views_of(i, Path("x"))]
    perfect = np.array([[f in view.families for f in REALISTIC_FAMILIES] for view in views], float)
    figures = realistic.figures_of(views, perfect)
    for part in ("", "_haze", "_single", "_chained", "_whole", "_region"):
        assert figures[f"realistic_family_auc{part}"] == 1.0


def test_seconds_are_compared_with_those_before():
    figures = speed.figures_of(np.array([0.1, 0.3]), np.array([0.4, 0.4]))
    assert figures["seconds_per_picture"] == pytest.approx(0.2)
    assert figures["seconds_ratio"] == pytest.approx(0.5)
    assert "seconds_ratio" not in speed.figures_of(np.array([0.1, 0.3]), None)


def test_a_previous_release_that_cannot_score_is_named(tmp_path):
    (tmp_path / "rsfiqa").mkdir()
    (tmp_path / "rsfiqa" / "__init__.py").write_text("raise OSError('broken')", "utf-8")
    source, checkpoint = speed.release(tmp_path)
    with pytest.raises(InputError, match=r"must score pictures, found 'OSError: broken'; give"):
        speed.seconds(source, checkpoint, [tmp_path / "a.png"])


MISSING = (("sanity", "BIQ2021"), ("mmp2k", "MMP-2k"))


def test_parts_without_their_data_are_skipped(tmp_path, capsys):
    (tmp_path / "kodak").mkdir()
    assert command.possible(["kodak", "sanity", "mmp2k"], tmp_path) == ["kodak"]
    skipped = [f"{part}: skipped, {tmp_path} has no {name}" for part, name in MISSING]
    assert capsys.readouterr().err.splitlines() == skipped


def test_a_line_of_a_figure_has_its_interval_and_count():
    figures = {"hit": 0.5, "hit_n": 4, "hit_low": 0.25, "hit_high": 0.75, "alone": 1.0}
    assert list(command.lines_of(figures)) == ["  hit 0.500 [0.250, 0.750], n 4"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "/no such"], "--data: must be a folder of data sets, found /no such"),
        (["--data", ".", "--images", "0"], "--images: must be a number from 1, found 0"),
        (["--data", ".", "--part", "x"], "--part: invalid choice: 'x'"),
    ],
)
def test_wrong_words_are_refused_in_one_line(capsys, words, message):
    with pytest.raises(SystemExit) as stopped:
        perception.main(words)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_without_any_data_set_is_refused(tmp_path):
    with pytest.raises(SystemExit) as stopped:
        perception.main(["--data", str(tmp_path)])
    assert str(stopped.value.code) == (
        f"perception: {tmp_path} must hold the data sets of one part, found none; give the folder"
        " above them as --data"
    )
