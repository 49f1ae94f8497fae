"""What a table and a journal keep: which picture a row is of, and what others added."""

import json
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.products import region_scores, scores
from rsfiqa.score.journal import Journal, journal_path
from tests.support.scoring import Recorder, interrupt, rows_of, run


def save(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (70, 90, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


def test_pictures_of_one_name_in_two_folders_are_two(checkpoint, tmp_path, monkeypatch):
    for day in ("day1", "day2"):
        save(tmp_path / day / "img1.png", int(day[-1]))
        monkeypatch.chdir(tmp_path / day)
        assert run(["img1.png"], checkpoint, Path("../all.csv"))
    first, second = rows_of(tmp_path / "all.csv")
    assert (first["path"], second["path"]) == ("img1.png", "img1.png")
    assert first["location"] == str(tmp_path / "day1/img1.png")
    assert second["location"] == str(tmp_path / "day2/img1.png")
    assert first["score"] != second["score"]
    again = Recorder(tmp_path / "log")
    monkeypatch.chdir(tmp_path)
    assert run(["day1", "day2/img1.png"], checkpoint, Path("all.csv"), score_one=again)
    assert again.paths == []  # whatever way leads to them


def test_a_picture_that_was_replaced_is_scored_again(checkpoint, tmp_path):
    path, output = save(tmp_path / "a.png"), tmp_path / "s.csv"
    run([path], checkpoint, output)
    (before,) = rows_of(output)
    save(path, 1)
    os.utime(path, ns=(0, 10**18))
    run([path], checkpoint, output)
    (after,) = rows_of(output)
    assert after["score"] != before["score"]
    assert (after["size"], after["modified"]) == (
        path.stat().st_size,
        "2001-09-09T01:46:40.000000Z",
    )
    path.write_bytes(path.read_bytes()[:100])
    assert not run([path], checkpoint, output)
    assert [row["status"] for row in rows_of(output)] == ["failed"]


def test_a_picture_on_a_disk_that_is_away_keeps_its_row(checkpoint, tmp_path):
    path, output = save(tmp_path / "p/a.png"), tmp_path / "s.csv"
    run([path], checkpoint, output)
    before = output.read_bytes()
    (tmp_path / "p").rename(tmp_path / "away")
    assert run([path], checkpoint, output)
    assert output.read_bytes() == before


def test_a_table_is_moved_with_its_pictures(checkpoint, tmp_path, monkeypatch):
    for i, name in enumerate(("a.png", "sub/a.png", "b.png")):
        save(tmp_path / "old/p" / name, i)
    monkeypatch.chdir(tmp_path / "old")
    run(["p"], checkpoint, Path("s.csv"))
    before = rows_of(Path("s.csv"))
    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    save(Path("p/c.png"), 7)
    recorder = Recorder(tmp_path / "log")
    assert run(["p"], checkpoint, Path("s.csv"), score_one=recorder)
    assert recorder.names == ["c.png"]
    after = rows_of(Path("s.csv"))
    assert [row["score"] for row in after[:3]] == [row["score"] for row in before]
    assert [row["location"] for row in after] == [
        str(tmp_path / "new/p" / name) for name in ("a.png", "b.png", "sub/a.png", "c.png")
    ]


def test_a_copy_beside_the_old_picture_is_no_move(checkpoint, tmp_path):
    path, output = save(tmp_path / "a.png"), tmp_path / "s.csv"
    run([path], checkpoint, output)
    (tmp_path / "copy").mkdir()
    shutil.copy2(path, tmp_path / "copy/a.png")
    run([tmp_path / "copy/a.png"], checkpoint, output)
    assert len(rows_of(output)) == 2


def test_a_copy_of_a_picture_in_a_folder_that_is_not_utf_8_is_no_move(checkpoint, tmp_path):
    folder, output = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")), tmp_path / "s.csv"
    path = save(folder / "a.png")
    run([path], checkpoint, output)
    (tmp_path / "copy").mkdir()
    shutil.copy2(path, tmp_path / "copy/a.png")
    run([tmp_path / "copy/a.png"], checkpoint, output)
    assert len(rows_of(output)) == 2


def test_moved_pictures_keep_their_regions_after_a_kill(checkpoint, tmp_path, monkeypatch):
    """The kill comes when both tables are written and the journal is not yet removed."""
    old, new, output = save(tmp_path / "p/a.png"), tmp_path / "p/b/a.png", tmp_path / "s.parquet"
    run([tmp_path / "p"], checkpoint, output)
    expected = [row["score"] for row in regions_of(output)]
    new.parent.mkdir()
    old.replace(new)
    unlink = Path.unlink

    def dying(path, *args, **options):
        if path == journal_path(output):
            raise KeyboardInterrupt
        unlink(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dying)
        with pytest.raises(KeyboardInterrupt):
            run([tmp_path / "p"], checkpoint, output)
    recorder = Recorder(tmp_path / "log")
    run([tmp_path / "p"], checkpoint, output, score_one=recorder)
    assert recorder.paths == []
    found = regions_of(output)
    assert [row["score"] for row in found] == expected
    assert {row["location"] for row in found} == {str(new)}


@pytest.mark.parametrize("back", [True, False])
def test_a_picture_that_is_moved_again_after_a_kill_has_one_row(checkpoint, tmp_path, back):
    """The kill comes when the journal holds the row at the second place."""
    first, second = save(tmp_path / "p/a.png"), tmp_path / "p/b/a.png"
    third, output = first if back else tmp_path / "p/c/a.png", tmp_path / "s.parquet"
    run([tmp_path / "p"], checkpoint, output)
    (expected,) = rows_of(output)
    second.parent.mkdir()
    first.replace(second)
    other = save(tmp_path / "p/z.png", 1)
    killed = Recorder(tmp_path / "first", z=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run([tmp_path / "p"], checkpoint, output, score_one=killed)
    other.unlink()
    third.parent.mkdir(exist_ok=True)
    second.replace(third)
    recorder = Recorder(tmp_path / "log")
    assert run([tmp_path / "p"], checkpoint, output, score_one=recorder)
    assert recorder.paths == []
    (found,) = rows_of(output)
    assert (found["location"], found["score"]) == (str(third), expected["score"])
    assert {row["location"] for row in regions_of(output)} == {str(third)}


def test_a_picture_that_takes_the_place_of_another_has_one_row(checkpoint, tmp_path):
    old, new = save(tmp_path / "p/a.png"), save(tmp_path / "p/b/a.png", 1)
    output = tmp_path / "s.parquet"
    run([tmp_path / "p"], checkpoint, output)
    before = {row["location"]: row["score"] for row in rows_of(output)}
    old.replace(new)
    run([tmp_path / "p"], checkpoint, output)
    found = {row["location"]: row["score"] for row in rows_of(output)}
    assert len(rows_of(output)) == 2  # that of the picture that is gone stays
    assert found == pytest.approx(
        {str(old): before[str(old)], str(new): before[str(old)]}, abs=1e-3
    )


def regions_of(output: Path) -> list[dict]:
    return list(region_scores.read(region_scores.regions_path(output)))


@pytest.mark.parametrize("suffix", scores.FORMATS)
def test_a_column_of_the_users_own_stays(checkpoint, tmp_path, suffix):
    save(tmp_path / "p/a.png")
    output = tmp_path / f"s{suffix}"
    run([tmp_path / "p"], checkpoint, output)
    if suffix == ".parquet":
        pq.write_table(pq.read_table(output).append_column("keep", [["yes"]]), output)
    elif suffix == ".jsonl":
        output.write_text(json.dumps(json.loads(output.read_text("utf-8")) | {"keep": "yes"}))
    else:
        header, row = output.read_text("utf-8").splitlines()
        output.write_text(f"{header},keep\n{row},yes\n", "utf-8")
    before = output.read_bytes()
    assert run([tmp_path / "p"], checkpoint, output)
    assert output.read_bytes() == before  # nothing was scored, nothing is written
    save(tmp_path / "p/b.png", 1)
    save(tmp_path / "p/a.png", 2)
    assert run([tmp_path / "p"], checkpoint, output)
    assert [Path(row["path"]).name for row in rows_of(output)] == ["a.png", "b.png"]
    assert b"yes" in output.read_bytes()
    assert b"keep" in output.read_bytes()


def test_a_filtered_table_is_completed(checkpoint, tmp_path):
    for i, name in enumerate("abc"):
        save(tmp_path / f"p/{name}.png", i)
    output = tmp_path / "s.parquet"
    run([tmp_path / "p"], checkpoint, output)
    whole = rows_of(output)
    table = pq.read_table(output).replace_schema_metadata({"pandas": "{}"})
    pq.write_table(table.take([2, 0]).append_column("__index_level_0__", [[2, 0]]), output)
    recorder = Recorder(tmp_path / "log")
    run([tmp_path / "p"], checkpoint, output, score_one=recorder)
    assert recorder.names == ["b.png"]
    assert rows_of(output) == [whole[2], whole[0], whole[1]]  # in their place, then the new one


def test_a_journal_of_another_table_is_left_alone(checkpoint, tmp_path):
    path, output = save(tmp_path / "a.png"), tmp_path / "s.csv"
    run([path], checkpoint, output)
    table = output.read_bytes()
    two, broken = [path, save(tmp_path / "b.png", 1)], Recorder(tmp_path / "log", b=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(two, checkpoint, tmp_path / "t.csv", score_one=broken)
    journal = tmp_path / ".s.csv.journal"
    found = (tmp_path / ".t.csv.journal").read_bytes()
    for content in (found, b'{"a": 1}\n', b"[1]\n", b"mine", b"[" * 9999, b"\xff\n", b"null\n"):
        journal.write_bytes(content)
        with pytest.raises(InputError, match=r".s.csv.journal: must be the journal of s.csv, ch"):
            run([path], checkpoint, output)
        assert journal.read_bytes() == content
        assert output.read_bytes() == table


def test_a_journal_adds_to_the_table_and_hides_no_row(checkpoint, tmp_path):
    a, b, c = (save(tmp_path / f"{name}.png", i) for i, name in enumerate("abc"))
    output = tmp_path / "s.csv"
    with pytest.raises(KeyboardInterrupt):
        run([a, c], checkpoint, output, score_one=Recorder(tmp_path / "log", c=interrupt))
    run([a, b], checkpoint, tmp_path / "t.csv")
    (tmp_path / "t.csv").rename(output)
    recorder = Recorder(tmp_path / "second")
    run([c], checkpoint, output, score_one=recorder)
    assert recorder.names == ["c.png"]
    assert [Path(row["path"]).name for row in rows_of(output)] == ["a.png", "b.png", "c.png"]


def test_a_header_that_was_cut_short(checkpoint, tmp_path):
    path, output = save(tmp_path / "a.png"), tmp_path / "s.csv"
    for content in (b"", b'{"journal of sc'):
        (tmp_path / ".s.csv.journal").write_bytes(content)
        assert run([path], checkpoint, output)
        assert len(rows_of(output)) == 1
        output.unlink()


def test_a_link_to_a_table_stays_a_link(checkpoint, tmp_path):
    path = save(tmp_path / "a.png")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real/s.csv")
    assert run([path], checkpoint, tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert len(rows_of(tmp_path / "real/s.csv")) == 1
    assert run([path, save(tmp_path / "b.png", 1)], checkpoint, tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert len(rows_of(tmp_path / "real/s.csv")) == 2


def test_a_journal_takes_no_memory_for_each_row(tmp_path):
    def row(number: int) -> Any:
        location = str(tmp_path / f"{number:06d}.png")
        return dict.fromkeys(scores.SCHEMA.names) | {"location": location, "status": "ok"}

    with Journal(tmp_path / "s.csv", "label") as journal:
        journal.add(row(0), [])
        tracemalloc.start()
        try:
            for number in range(1, 2001):
                journal.add(row(number), [])
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert grown < 10 * 2000  # bytes; with their places in dictionaries 300 each
        assert all(journal.is_done(row(number)["location"]) for number in (0, 1000, 2000))
        assert not journal.is_done(row(2001)["location"])
