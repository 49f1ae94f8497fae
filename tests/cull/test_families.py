"""Severities of families, from the table of regions beside a table of scores."""

from collections.abc import Collection
from pathlib import Path

import pytest

from rsfiqa.cull import families
from rsfiqa.cull.conditions import Conditions
from rsfiqa.cull.xmp import SUBJECT, Document
from rsfiqa.products import region_scores
from rsfiqa.products.region_scores import RegionRow
from tests.support.culling import LABEL, cull, make_photos

SCORES = {"a.jpg": 10, "b.jpg": 50, "c.jpg": 90}
# of each picture: area, families and severities of its regions
REGIONS = {
    "a.jpg": [(0.5, ["motion_blur", "noise"], [4, 1]), (0.5, [], [])],
    "b.jpg": [(0.91, ["haze"], [2]), (0.09, ["motion_blur"], [5])],
    "c.jpg": [(1.0, [], [])],
}


def make_region(path: Path, number: int, area: float, names: list, severities: list) -> RegionRow:
    return {
        "path": str(path),
        "region": number,
        **dict.fromkeys(("x0", "y0", "x1", "y1"), 0),
        **dict.fromkeys(("weight", "quality", "score", "cost"), 0.5),
        **dict.fromkeys(("color", "noise", "artifact", "blur", "overall"), 3.0),
        "area": area,
        "families": names,
        "severities": severities,
        "caption": "",
        "location": str(path),
    }


def make_table(root: Path, label: str = LABEL, covered: Collection[str] = REGIONS) -> Path:
    """A table of scores, and one of regions of the covered pictures."""
    table = make_photos(root, SCORES, ".parquet")
    rows = [
        make_region(root / "photos" / name, number, *region)
        for name, regions in REGIONS.items()
        if name in covered
        for number, region in enumerate(regions, 1)
    ]
    region_scores.update(region_scores.regions_path(table), set(), {}, rows, label)
    return table


def test_a_severity_must_hold_for_a_tenth_of_the_picture(tmp_path):
    table = make_table(tmp_path)
    found = families.read(table, LABEL, Conditions())
    by_name = {Path(location).name: dict(severities) for location, severities in found.items()}
    assert by_name == {
        "a.jpg": {"motion_blur": 4, "noise": 1},
        "b.jpg": {"haze": 2, "motion_blur": 0},
        "c.jpg": {},
    }


@pytest.mark.parametrize(
    ("flag", "names"),
    [
        ("motion_blur>=4", ["a.jpg"]),
        ("haze>=2", ["b.jpg"]),
        ("haze>2", []),
        ("haze>0", ["b.jpg"]),
    ],
)
def test_pictures_are_chosen_by_families(tmp_path, capsys, flag, names):
    assert cull(make_table(tmp_path), "--flag", flag) == 0
    assert [Path(line).name for line in capsys.readouterr().out.splitlines()] == names


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_without_regions_a_family_is_not_known(tmp_path, capsys, suffix):
    table = make_photos(tmp_path, SCORES, suffix)
    assert cull(table, "--flag", "haze>=2") == 1
    shown = capsys.readouterr().err
    assert f"the severity of haze needs the table of regions, found none beside {table}" in shown
    assert shown.count("\n") == 1
    assert cull(table, "--flag", "noise>=2") == 0  # a rating, which the table has


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--flag", "motion_blur>=4"], ["a.jpg"]),
        (["--flag", "haze>0"], []),
        (["--flag", "haze>0", "--below", 60, "--any"], ["a.jpg", "b.jpg"]),
    ],
)
def test_pictures_without_regions_are_counted(tmp_path, capsys, caplog, words, names):
    """Of b.jpg the regions tell haze; a condition that needs no regions still chooses it."""
    table = make_table(tmp_path, covered=["a.jpg"])
    assert cull(table, *words) == 0
    assert [Path(line).name for line in capsys.readouterr().out.splitlines()] == names
    message = "2 of 3 scored pictures have no regions, which the condition needs; score them again"
    assert f"{message}: rsfiqa score PATH... -o {table}" in caplog.text
    caplog.clear()
    assert cull(table, "--flag", "noise>=2") == 0  # a rating
    assert "no regions" not in caplog.text


def test_a_family_is_refused_if_no_picture_has_regions(tmp_path, capsys):
    table = make_table(tmp_path, covered=[])
    assert cull(table, "--flag", "haze>=2", "--below", 60, "--any") == 1
    shown = capsys.readouterr().err
    assert "must have pictures with regions for a severity of distortions, found none of 3" in shown
    assert shown.count("\n") == 1
    assert cull(table, "--xmp", "--apply") == 0  # keywords are ratings
    assert "no regions" not in capsys.readouterr().err


def test_regions_of_another_checkpoint(tmp_path, capsys):
    table = make_table(tmp_path, "other 01")
    assert cull(table, "--flag", "haze>=2") == 1
    shown = capsys.readouterr().err
    assert f"must be of checkpoint {LABEL}, found other 01" in shown
    assert shown.count("\n") == 1


def test_keywords_are_families_where_regions_are_known(tmp_path):
    assert cull(make_table(tmp_path), "--xmp", "--apply") == 0
    found = {
        name: Document((tmp_path / "photos" / f"{name}.xmp").read_bytes()).items(SUBJECT)
        for name in SCORES
    }
    assert found == {
        "a.jpg": ["rsfiqa", "bad quality", "motion blur"],
        "b.jpg": ["rsfiqa", "fair quality"],
        "c.jpg": ["rsfiqa", "excellent quality"],
    }
