"""A table as a shard of a larger run: its records, and what becomes of an earlier one."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.io.locked import open_locked
from rsfiqa.products import failures, region_scores
from rsfiqa.products.finished import statistics
from rsfiqa.score import journal
from rsfiqa.score.plan import stage as plan
from rsfiqa.score.rank import stage as rank
from rsfiqa.score.shard import Shard
from tests.io.test_locked import HOLDER
from tests.support.checkpoints import with_card
from tests.support.scoring import Recorder, command, interrupt, rows_of, run

NAMES = [f"{i}.png" for i in range(6)]


@pytest.fixture
def pictures(tmp_path):
    root = tmp_path / "pictures"
    root.mkdir()
    for i, name in enumerate(NAMES):
        noise = np.random.default_rng(i).normal(128, 5 + 9 * i, (48, 64, 3))
        Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(root / name)
    return root


class Run:
    """A run in a folder, in shards of three pictures."""

    def __init__(self, folder: Path, pictures: Path, checkpoint: Path) -> None:
        self.folder, self.pictures, self.checkpoint = folder, pictures, checkpoint
        self.plan()

    def plan(self) -> None:
        plan.run(self.folder, [str(self.pictures)], shard_size=3)

    def table(self, shard: int) -> Path:
        return self.folder / f"score/{shard:05d}.parquet"

    def score(self, *shards: int, allowed: float = 1.0, **changes) -> None:
        for number in shards:
            pictures = self.folder / f"plan/{number:05d}.parquet"
            shard = Shard([pictures], allowed)
            run([pictures], self.checkpoint, self.table(number), shard=shard, **changes)

    def bytes(self) -> dict[str, bytes]:
        found = sorted((self.folder / "score").rglob("*"))
        return {path.name: path.read_bytes() for path in found if path.suffix == ".parquet"}


@pytest.fixture
def made(tmp_path, pictures, checkpoint):
    return Run(tmp_path / "run", pictures, checkpoint)


def test_shards_hold_what_one_table_holds(made, tmp_path):
    (made.pictures / "5.png").write_text("no picture")
    made.plan()
    made.score(0, 1)
    assert {row["percentile"] for n in (0, 1) for row in rows_of(made.table(n))} == {None}
    summary = rank.run(made.folder / "score")
    run([made.pictures], made.checkpoint, tmp_path / "one.parquet")
    one = [row | {"path": row["location"]} for row in rows_of(tmp_path / "one.parquet")]
    assert [row for n in (0, 1) for row in rows_of(made.table(n))] == one
    beside = [region_scores.read(made.folder / f"score/0000{n}.regions.parquet") for n in (0, 1)]
    assert [row["cost"] for rows in beside for row in rows] == [
        row["cost"] for row in region_scores.read(tmp_path / "one.regions.parquet")
    ]
    assert (summary["pictures"], summary["scored"], summary["failed"]) == (6, 5, 1)
    assert summary["quantiles"]["50"] == pytest.approx(
        np.median([row["score"] for row in one if row["score"] is not None]), abs=1e-4
    )
    (failed,) = failures.read(made.folder / "score/00001.failures.parquet").to_pylist()
    assert failed["image"] == str(made.pictures / "5.png")
    stats = statistics(made.table(1))
    assert (stats["images"], stats["failed"], stats["changed"]) == (3, 1, 0)


def test_percentiles_are_written_once(made):
    made.score(0, 1)
    rank.run(made.folder / "score")
    ranked = made.bytes()
    times = [made.table(n).stat().st_mtime_ns for n in (0, 1)]
    rank.run(made.folder / "score")
    assert made.bytes() == ranked
    assert [made.table(n).stat().st_mtime_ns for n in (0, 1)] == times


def test_an_interrupted_shard_resumes_to_the_same_bytes(made, tmp_path):
    made.score(0)
    expected = made.bytes()
    shutil.rmtree(made.folder / "score")
    first = Recorder(tmp_path / "first", **{"1": interrupt})
    with pytest.raises(KeyboardInterrupt):
        made.score(0, score_one=first)
    assert made.bytes() == {}
    again = Recorder(tmp_path / "again")
    made.score(0, score_one=again)
    assert made.bytes() == expected
    assert "0.png" not in again.names


def test_pictures_that_came_changed_or_went(made, tmp_path, caplog):
    caplog.set_level("INFO", "rsfiqa")
    made.score(0, 1)
    rank.run(made.folder / "score")
    (made.pictures / "1.png").unlink()
    shutil.copy(made.pictures / "5.png", made.pictures / "2.png")
    made.plan()
    log = Recorder(tmp_path / "log")
    made.score(0, 1, score_one=log)
    assert log.names == ["2.png"]
    assert "1 pictures are not listed any more" in caplog.text
    names = [Path(row["location"]).name for row in rows_of(made.table(0))]
    assert names == ["0.png", "2.png"]
    regions = region_scores.locations(
        made.folder / "score/00000.regions.parquet", rows_of(made.table(0))[0]["checkpoint"]
    )
    assert {Path(name).name for name in regions} == set(names)
    assert {row["percentile"] for row in rows_of(made.table(0))} == {None}  # until all are ranked


def test_a_picture_that_changed_since_the_plan_is_named(made, caplog):
    os.utime(made.pictures / "1.png", ns=(0, 10**18))
    made.score(0)
    assert f"changed since the plan, scored as found now: {made.pictures / '1.png'}" in caplog.text
    assert statistics(made.table(0))["changed"] == 1
    assert rows_of(made.table(0))[1]["modified"] == "2001-09-09T01:46:40.000000Z"


def test_pictures_that_vanished_are_rows_with_a_reason(made):
    (made.pictures / "1.png").unlink()
    made.score(0)
    assert [row["status"] for row in rows_of(made.table(0))] == ["ok", "failed", "ok"]
    (failed,) = failures.read(made.folder / "score/00000.failures.parquet").to_pylist()
    assert failed["reason"] == "no such file"


def test_too_many_failures_fail_the_shard_and_lose_nothing(made, tmp_path):
    moved = tmp_path / "away"
    made.pictures.rename(moved)
    with pytest.raises(InputError, match=r"00000.parquet: the fraction of failed .* found 3 of 3"):
        made.score(0, allowed=0.5)
    assert not made.table(0).exists()
    assert statistics(made.table(0)) == {}
    moved.rename(made.pictures)
    made.score(0, allowed=0.5)
    assert [row["status"] for row in rows_of(made.table(0))] == ["ok"] * 3


def test_a_table_of_another_checkpoint_is_made_again(made, tmp_path, caplog):
    caplog.set_level("INFO", "rsfiqa")
    first = Recorder(tmp_path / "first", **{"5": interrupt})
    made.score(0)
    with pytest.raises(KeyboardInterrupt):
        made.score(1, score_one=first)
    assert journal.journal_path(made.table(1)).is_file()
    old = rows_of(made.table(0))[0]["checkpoint"]
    made.checkpoint = with_card(made.checkpoint, tmp_path / "other", datasets=["other"])
    made.score(0, 1)
    assert "made again" in caplog.text
    assert {row["checkpoint"] for n in (0, 1) for row in rows_of(made.table(n))} == {
        f"other {old.rpartition(' ')[2]}"
    }
    assert not journal.journal_path(made.table(1)).exists()


@pytest.mark.slow
def test_another_run_of_the_shard_is_waited_for(made):
    made.score(0)
    expected = made.bytes()
    path = journal.journal_path(made.table(0))
    line = [sys.executable, "-c", HOLDER, str(path)]
    words = [made.folder / "plan/00000.parquet", "--as-shard", f"-o{made.table(0)}"]
    words += ["--workers=1", f"--checkpoint={made.checkpoint}"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with command(*words) as second:
            time.sleep(8)
            assert second.poll() is None
            holder.kill()
            assert second.wait(120) == 0
    assert made.bytes() == expected


def test_pictures_of_a_killed_run_that_are_not_listed_any_more_are_not_published(made, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        made.score(0, score_one=Recorder(tmp_path / "first", **{"2": interrupt}))
    (made.pictures / "1.png").unlink()
    made.plan()
    made.score(0)
    assert [Path(row["location"]).name for row in rows_of(made.table(0))] == ["0.png", "2.png"]
    with pytest.raises(KeyboardInterrupt):
        made.score(1, score_one=Recorder(tmp_path / "second", **{"5": interrupt}))
    for number in (3, 4, 5):
        (made.pictures / f"{number}.png").unlink()
    made.plan()
    assert not journal.journal_path(made.table(1)).exists()


def test_regions_of_another_checkpoint_without_their_scores_are_replaced(made):
    made.score(0)
    expected = made.bytes()
    label = rows_of(made.table(0))[0]["checkpoint"]
    beside = region_scores.regions_path(made.table(0))
    rows = [{**row} for row in region_scores.read(beside)]
    beside.unlink()
    region_scores.update(beside, set(), {}, rows, f"old of {label}")
    made.table(0).unlink()  # a run was killed between the two tables
    made.score(0)
    assert made.bytes() == expected


def test_a_table_is_prepared_only_when_no_other_run_holds_it(made):
    made.score(0)
    calls = []
    with open_locked(journal.journal_path(made.table(0)), made.table(0)):
        with pytest.raises(InputError, match="must be written by one run at a time"):
            journal.Journal(made.table(0), "label", prepare=lambda: calls.append("held"))
        assert calls == []
    label = rows_of(made.table(0))[0]["checkpoint"]
    with journal.Journal(made.table(0), label, prepare=lambda: calls.append("free")):
        assert calls == ["free"]


def test_the_first_shard_may_be_empty_where_lower_is_better(made):
    made.score(0, 1)
    for number in (0, 1):
        table = pq.read_table(made.table(number))
        place = table.column_names.index("direction")
        lower = table.set_column(place, "direction", [["lower"] * len(table)])
        pq.write_table(lower if number else lower[:0], made.table(number))
    quantiles = rank.run(made.folder / "score")["quantiles"]
    scores = [row["score"] for row in rows_of(made.table(1))]
    assert (quantiles["0"], quantiles["100"]) == pytest.approx((min(scores), max(scores)), abs=1e-4)


def test_no_shards_to_rank(tmp_path):
    with pytest.raises(InputError, match=r"must hold tables <shard>.parquet, found none"):
        rank.run(tmp_path)


def test_a_lower_score_may_be_better(made):
    made.score(0)
    table = pq.read_table(made.table(0))
    place = table.column_names.index("direction")
    lower = table.set_column(place, "direction", [["lower"] * len(table)])
    pq.write_table(lower, made.table(0))
    rank.run(made.folder / "score")
    rows = sorted(rows_of(made.table(0)), key=lambda row: row["score"] or 0)
    assert [row["percentile"] for row in rows] == [83.3333, 50.0, 16.6667]
