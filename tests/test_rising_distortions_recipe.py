"""The recipe of photographs with rising distortions and pseudo-opinions."""

import numpy as np
import pytest

from recipes import rising_distortions
from recipes.rising_distortions import RISING, STEP, distortion, write
from rsfiqa.vocabulary import REALISTIC_FAMILIES
from tests.support.rated import rated_photographs

KINDS = len(REALISTIC_FAMILIES)


def test_families_take_turns_and_so_do_their_variants():
    first, second = (
        [distortion(turn * KINDS + place)[0] for place in range(KINDS)] for turn in range(2)
    )
    noise = list(REALISTIC_FAMILIES).index("noise")
    assert first[noise] != second[noise]
    haze = list(REALISTIC_FAMILIES).index("haze")
    assert first[haze] == second[haze]


def test_scores_fall_with_the_severity_of_each_photograph(tmp_path, monkeypatch):
    opinions = ((f"ss03 ({i}).png", 0.7 + i / 10) for i in range(3))
    entries = rated_photographs(tmp_path, opinions, coarse=(6, 8), size=(64, 48))
    monkeypatch.setattr(rising_distortions, "photographs", lambda _: (entries, []))
    table = write(tmp_path, tmp_path / "rising", count=3)
    rows = [line.split(",") for line in table.read_text("utf-8").splitlines()]
    assert rows[0] == ["path", "mos", "group"]
    scores = np.array([float(row[1]) for row in rows[1:]]).reshape(3, len(RISING))
    assert scores - scores[:, :1] == pytest.approx(np.tile(-STEP * np.array(RISING), (3, 1)))
    assert sorted(scores[:, 0]) == pytest.approx([0.7, 0.8, 0.9])
    assert all((table.parent / row[0]).is_file() for row in rows[1:])
    before = table.stat().st_mtime_ns
    assert write(tmp_path, tmp_path / "rising") == table
    assert table.stat().st_mtime_ns == before


def test_fewer_photographs_than_asked_for_are_not_published(tmp_path, monkeypatch):
    opinions = ((f"ss03 ({i}).png", 0.7 + i / 10) for i in range(3))
    entries = rated_photographs(tmp_path, opinions, coarse=(6, 8), size=(64, 48))
    monkeypatch.setattr(rising_distortions, "photographs", lambda _: (entries, []))
    with pytest.raises(SystemExit, match=r"must have 4 well-rated .*, found 3; get all of BIQ"):
        write(tmp_path, tmp_path / "rising", count=4)
    assert not (tmp_path / "rising/scores.csv").exists()
