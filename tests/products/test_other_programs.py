"""Tables of scores and regions in duckdb and polars, by the queries of docs/tables.md."""

import re
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.curate.scenes import LABEL, write_scores
from rsfiqa.products import region_scores, score_tables, severities
from rsfiqa.products.region_scores import RegionRow

PAGE = (Path(__file__).resolve().parents[2] / "docs/tables.md").read_text("utf-8")
# of each picture: area, cost, families and severities of its regions
REGIONS = {
    "a.jpg": [(0.5, 30.0, ["motion_blur", "noise"], [4, 1]), (0.5, 2.0, [], [])],
    "b.jpg": [(0.95, 9.0, ["haze"], [2]), (0.05, 4.0, ["motion_blur"], [5])],
    "c.jpg": [(0.06, 3.0, ["motion_blur"], [3]), (0.06, 1.0, ["motion_blur"], [5])],
}


def block(kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return found


def region(path: Path, number: int, area: float, cost: float, names, levels) -> RegionRow:
    return {
        **dict.fromkeys(region_scores.SCHEMA.names),
        "path": str(path),
        "location": str(path),
        "region": number,
        "area": area,
        "cost": cost,
        "families": names,
        "severities": levels,
    }


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with the tables of three pictures."""
    monkeypatch.chdir(tmp_path)
    for name in REGIONS:
        Image.new("RGB", (32, 32)).save(tmp_path / name)
    table = write_scores(
        tmp_path / "scores.parquet",
        {tmp_path / name: 10.0 + at for at, name in enumerate(REGIONS)},
        percentile=2.5,
        worst_box=[1, 2, 3, 4],
        flags=["tiny", "border"],
    )
    rows = [
        region(tmp_path / name, number, *one)
        for name, regions in REGIONS.items()
        for number, one in enumerate(regions, 1)
    ]
    region_scores.update(region_scores.regions_path(table), set(), {}, rows, LABEL)
    return tmp_path


def names(table: Path) -> list[str]:
    return [Path(row["location"]).name for row in score_tables.read(table)]


def test_the_queries_of_duckdb(folder):
    duckdb = pytest.importorskip("duckdb")
    first, second = block("sql").split(";")[:2]
    found = duckdb.sql(first).fetchall()
    assert [(Path(row[0]).name, *row[1:]) for row in found] == [
        ("a.jpg", 1, "motion_blur", 4, 30.0),
        ("a.jpg", 1, "noise", 1, 30.0),
        ("b.jpg", 1, "haze", 2, 9.0),
        ("b.jpg", 2, "motion_blur", 5, 4.0),
        ("c.jpg", 1, "motion_blur", 3, 3.0),
        ("c.jpg", 2, "motion_blur", 5, 1.0),
    ]
    duckdb.sql(second)
    # as severities are of a picture everywhere else
    known = severities.read(folder / "scores.regions.parquet", LABEL)
    blurred = [Path(p).name for p, found in known.items() if found.get("motion_blur", 0) >= 3]
    assert names(folder / "blurred.parquet") == blurred == ["a.jpg", "c.jpg"]


def test_the_example_of_polars(folder):
    pytest.importorskip("polars")
    found: dict = {}
    exec(block("python"), found)
    assert found["families"].rows() == [
        ("motion_blur", 3, 38.0),
        ("noise", 1, 30.0),
        ("haze", 1, 9.0),
    ]
    assert names(folder / "worst.parquet") == list(REGIONS)
    (first, *_) = score_tables.read(folder / "worst.parquet")
    assert (first["worst_box"], first["flags"]) == ([1, 2, 3, 4], ["tiny", "border"])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_the_other_formats(folder, suffix):
    """Written by rsfiqa, read and written by both programs, and read by rsfiqa again."""
    duckdb, pl = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    rows = list(score_tables.read(folder / "scores.parquet"))
    score_tables.write(folder / f"s{suffix}", rows, LABEL)
    kind = "csv, header" if suffix == ".csv" else "json"
    duckdb.sql(f"copy (select * from 's{suffix}') to 'd{suffix}' (format {kind})")
    read, write = ("read_csv", "write_csv") if suffix == ".csv" else ("read_ndjson", "write_ndjson")
    getattr(getattr(pl, read)(f"s{suffix}"), write)(f"p{suffix}")
    assert list(score_tables.read(folder / f"d{suffix}")) == rows
    assert list(score_tables.read(folder / f"p{suffix}")) == rows


def test_a_table_that_duckdb_makes_of_json(folder):
    """It takes the times for times, of which no digit may get lost."""
    duckdb = pytest.importorskip("duckdb")
    rows = list(score_tables.read(folder / "scores.parquet"))
    score_tables.write(folder / "s.jsonl", rows, LABEL)
    duckdb.sql("copy (select * from 's.jsonl') to 'd.parquet'")
    assert list(score_tables.read(folder / "d.parquet")) == rows


def test_a_table_of_regions_that_was_written_by_them(folder):
    duckdb, pl = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    path = folder / "scores.regions.parquet"
    expected = list(region_scores.read(path))
    duckdb.sql(f"copy (select * from '{path}') to 'd.regions.parquet'")
    pl.read_parquet(path).write_parquet("p.regions.parquet")
    assert list(region_scores.read(folder / "d.regions.parquet")) == expected
    assert list(region_scores.read(folder / "p.regions.parquet")) == expected
