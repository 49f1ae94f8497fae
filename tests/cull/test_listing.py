"""Which pictures are chosen, and how they are listed."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rsfiqa.products import score_tables
from rsfiqa.scale import MosScale
from tests.support.culling import (
    cull,
    make_failed,
    make_photos,
    make_picture,
    make_row,
    tree,
    write_table,
)

LONG = 300 * "x"
SCORES = {"a.jpg": 10, "b.jpg": 50, "c.jpg": 40, "sub/d.jpg": 90}


def listed(capfdbinary, *words) -> list[str]:
    assert cull(*words) == 0
    return [Path(os.fsdecode(path)).name for path in capfdbinary.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--worst", "50%"], ["a.jpg", "c.jpg"]),
        (["--worst", "3"], ["a.jpg", "c.jpg", "b.jpg"]),
        (["--below", "40"], ["a.jpg"]),
        (["--below", "41", "--worst", "1"], ["a.jpg"]),
        (["--below", "41", "--worst", "3", "--any"], ["a.jpg", "c.jpg", "b.jpg"]),
        (["--below", "0"], []),
    ],
)
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_the_worst_come_first(tmp_path, capfdbinary, suffix, words, names):
    table = make_photos(tmp_path, SCORES, suffix)
    before = tree(tmp_path)
    assert listed(capfdbinary, table, *words) == names
    assert tree(tmp_path) == before


def test_lower_scores_may_be_better(tmp_path, capfdbinary):
    rows = [
        make_row(make_picture(tmp_path / name), score, MosScale(0, 100, True))
        for name, score in (("a.jpg", 10), ("b.jpg", 60), ("c.jpg", 90))
    ]
    table = write_table(tmp_path / "scores.csv", rows)
    assert listed(capfdbinary, table, "--below", "40") == ["c.jpg", "b.jpg"]
    assert listed(capfdbinary, table, "--worst", "1") == ["c.jpg"]


def test_pictures_without_a_score_are_never_chosen(tmp_path, capsys, caplog):
    rows = [
        make_failed(make_picture(tmp_path / "bad.jpg")),
        make_row(make_picture(tmp_path / "a.jpg"), 1),
    ]
    table = write_table(tmp_path / "scores.csv", rows)
    assert cull(table, "--worst", "100%") == 0
    shown = capsys.readouterr()
    assert shown.out == f"{tmp_path / 'a.jpg'}\n"
    assert "1 of 1 scored picture chosen: among the worst 100% (1 without a score)" in caplog.text


def test_flags_and_ratings(tmp_path, capfdbinary):
    rows = [
        make_row(make_picture(tmp_path / "a.jpg"), 10, worst_blur=2.0),
        make_row(make_picture(tmp_path / "b.jpg"), 20, flags=["damaged"]),
        make_row(make_picture(tmp_path / "c.jpg"), 30, worst_blur=2.0, flags=["damaged", "tiny"]),
    ]
    table = write_table(tmp_path / "scores.csv", rows)
    assert listed(capfdbinary, table, "--flag", "blur>=3") == ["a.jpg", "c.jpg"]
    assert listed(capfdbinary, table, "--flag", "blur>=3", "--flag", "damaged") == ["c.jpg"]
    both = ["--flag=blur<=2", "--flag=damaged", "--any"]
    assert listed(capfdbinary, table, *both) == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize("name", ["a\nb.jpg", "caf\udce9.jpg", "a\\xe9.jpg", "ü, [1].jpg"])
def test_any_name_is_listed_byte_by_byte(tmp_path, name):
    make_photos(tmp_path, {name: 1})
    line = [sys.executable, "-m", "rsfiqa", "cull", "scores.jsonl", "--worst=1", "--null"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(line, cwd=tmp_path, capture_output=True, check=True, env=environment)
    assert shown.stdout == os.fsencode(tmp_path / "photos" / name) + b"\0"


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_the_list_is_a_table_too(tmp_path, suffix):
    table, output = make_photos(tmp_path, SCORES), tmp_path / f"worst-scores{suffix}"
    assert cull(table, "--worst", "2", "-o", output) == 0
    assert [row["score"] for row in score_tables.read(output)] == [10, 40]
    before = output.read_bytes()
    assert cull(table, "--worst", "3", "-o", output) == 1  # it exists
    assert output.read_bytes() == before
    assert cull(output, "--worst", "1") == 0


def test_what_has_changed_or_is_gone_is_left_out(tmp_path, capsys, caplog):
    table = make_photos(tmp_path, SCORES)
    (tmp_path / "photos/a.jpg").unlink()
    with (tmp_path / "photos/b.jpg").open("ab") as file:
        file.write(b"more")
    assert cull(table, "--worst", "100%") == 3
    shown = capsys.readouterr()
    assert [Path(line).name for line in shown.out.splitlines()] == ["c.jpg", "d.jpg"]
    assert "a.jpg is gone" in caplog.text
    assert "b.jpg has changed since it was scored; score it again" in caplog.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs a condition, found none; give --worst 5%"),
        (["--apply", "--worst", "1"], "--apply: needs --copy, --move, --link or --xmp"),
        (["--worst", "0%"], "--worst: must be a percentage above 0% .*found '0%'"),
        (["--worst=-5%"], "--worst: must be a percentage above 0% .*found '-5%'"),
        (["--below", "140"], "--below: must lie on the scale of the table, 0 to 100, higher is"),
        (["--below", "nan"], "--below: must lie on the scale of the table"),
        (["--flag", "blur"], "--flag: a bound must follow the name"),
        (["--move", "x", "--copy", "y", "--worst", "1"], "needs one of --copy.*--copy and --move"),
        (["--move", "x"], "needs a condition"),
        (["--move", "scores.jsonl", "--worst", "1"], "scores.jsonl: must be a folder, found a fi"),
        (["--naming", "lightroom", "--worst", "1"], "--naming: belongs to --xmp"),
        (["--worst", "1", "-o", "scores.jsonl"], "scores.jsonl: must be a new file, found one"),
        (["--worst", "1", "-o", "x.txt"], "x.txt: must end in .parquet, .csv, .jsonl"),
        (["--worst", "1", "-o", "x.csv", "--xmp"], "--output: belongs to a list, found --xmp"),
        (["--undo"], "scores.jsonl: has no run to undo"),
        (["--undo", "--worst", "1"], "--undo: must stand alone, found a condition"),
        (["--flag", "color<=2"], "scores.jsonl: must have ratings of color, found none"),
        (["--move", LONG, "--worst", "1"], "xx: must have names of at most 255 .*one of 300;"),
        (["--copy", f"new/{LONG}", "--worst", "1"], "xx: must have names of at most 255"),
        (["--link", "scores.jsonl/x", "--worst", "1"], "scores.jsonl: must be a folder, found a f"),
        (["--worst", "1", "-o", f"{LONG}.csv"], "xx.csv: must have a name that the file system t"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    rows = [make_row(make_picture(tmp_path / "a.jpg"), 1, worst_color=None)]
    write_table(tmp_path / "scores.jsonl", rows)
    before = tree(tmp_path)
    assert cull("scores.jsonl", *words) == 1
    shown = capsys.readouterr()
    assert re.search(message, shown.err), shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    assert tree(tmp_path) == before


def test_a_wrong_table_is_one_line(tmp_path, capsys):
    picture = make_picture(tmp_path / "a.jpg")
    mixed = [make_row(picture, 1), make_row(tmp_path / "b.jpg", 1, checkpoint="other 01")]
    lines = [json.dumps(row) for row in mixed]
    (tmp_path / "mixed.jsonl").write_text("\n".join(lines))
    write_table(tmp_path / "failed.csv", [make_failed(picture)])
    write_table(tmp_path / "empty.csv", [])
    (tmp_path / "other.csv").write_text("path,mos\na.jpg,3\n")
    relative = make_row(tmp_path / "b.jpg", 1, location="b.jpg")
    write_table(tmp_path / "relative.csv", [make_row(picture, 1), relative])
    write_table(tmp_path / "empty-scale.csv", [make_row(picture, 1, low=5.0, high=5.0)])
    write_table(tmp_path / "endless.csv", [make_row(picture, 1, low=-math.inf)])
    for name, message in (
        ("mixed.jsonl", "must be of checkpoint livec 0123456789ab, found other 01; filter"),
        ("failed.csv", "must hold a scored picture, found 1 that failed; see the reasons"),
        ("empty.csv", "must hold a scored picture, found no row"),
        ("other.csv", "must be scores, found other content (no column score"),
        ("none.csv", "no such file; write it with rsfiqa score PATH... -o"),
        ("relative.csv", "location must be an absolute path, found 'b.jpg' in row 2; keep the co"),
        ("empty-scale.csv", "low must be below high, both finite, found 5 and 5 in row 1; keep"),
        ("endless.csv", "low must be below high, both finite, found -inf and 100 in row 1; keep"),
        (f"{LONG}.csv", "must have a name that the file system takes, found one that is too long"),
    ):
        for words in (["--worst", "1"], ["--xmp"]):
            assert cull(tmp_path / name, *words) == 1
            shown = capsys.readouterr().err
            assert shown.startswith(f"rsfiqa cull: {tmp_path / name}: {message}"), shown
            assert shown.count("\n") == 1
