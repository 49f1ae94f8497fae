"""Failures and times of a run, from the files beside the products."""

from rsfiqa.io.json_files import write_json
from rsfiqa.products import failures
from rsfiqa.report import record
from rsfiqa.report.record import Failure, StageTime


def test_failures_of_all_products_are_listed(tmp_path):
    failures.write(
        tmp_path / "b/segment/00000.failures.parquet", "segment", {"y": "bad", "x": "no"}
    )
    failures.write(tmp_path / "a/manifest.failures.parquet", "prepare", {"z": "cut"})
    assert record.read_failures(tmp_path) == [
        Failure("a", "a/manifest", "z", "prepare", "cut"),
        Failure("b", "b/segment/00000", "x", "segment", "no"),
        Failure("b", "b/segment/00000", "y", "segment", "bad"),
    ]


def test_times_are_summed_by_stage_and_subject(tmp_path):
    for path, started, images in (
        ("a/manifest.stats.json", 0, 4),
        ("a/segment/00001.stats.json", 20, 2),
        ("a/segment/00000.stats.json", 10, 3),
        ("train/a.full/split-00/stats.json", 30, 8),
        ("benchmark/a.b.full.stats.json", 40, 6),
    ):
        write_json(tmp_path / path, {"started": started, "ended": started + 2, "images": images})
    times = record.read_times(tmp_path)
    assert times == [
        StageTime("prepare", "a", jobs=1, images=4, seconds=2),
        StageTime("segment", "a", jobs=2, images=5, seconds=4),
        StageTime("train", "a.full", jobs=1, images=8, seconds=2),
        StageTime("benchmark", "a.b.full", jobs=1, images=6, seconds=2),
    ]
    assert times[1].rate == 1.25
