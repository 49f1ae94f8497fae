"""The score command: what it takes, what it writes, and that it goes on where it stood."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rsfiqa import score
from rsfiqa.errors import InputError
from rsfiqa.scorer import Scorer
from tests.pipeline import made

CHECKPOINT = "train/tiny.full/split-00"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return made(tmp_path_factory) / CHECKPOINT


@pytest.fixture
def pictures(tmp_path):
    """Four pictures, one of them damaged, one of them hidden, in two folders."""
    root = tmp_path / "pictures"
    (root / "b").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("a.png", "b/c.png", ".hidden.png"):
        Image.fromarray(random.integers(0, 256, (70, 90, 3)).astype(np.uint8)).save(root / name)
    (root / "bad.jpg").write_text("no picture")
    (root / "notes.md").write_text("no picture either")
    return root


def run(paths, checkpoint, output=None, **changes):
    usual = {"heatmaps": None, "explain": False, "workers": 1}
    return score.run(
        [str(p) for p in paths], checkpoint=checkpoint, output=output, **usual | changes
    )


def rows_of(output: Path) -> list[dict]:
    return score._read(output)


def test_folders_patterns_lists_and_files(pictures, tmp_path, monkeypatch):
    every = [str(pictures / name) for name in ("a.png", "bad.jpg", "b/c.png")]
    assert score.listed([str(pictures)]) == every
    assert score.listed([str(pictures), str(pictures / "a.png")]) == every  # each once
    assert score.listed([str(pictures / "**/*.png")]) == [every[0], every[2]]
    (tmp_path / "list.txt").write_text("\n".join(every))
    assert score.listed([str(tmp_path / "list.txt")]) == every
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(every)))
    assert score.listed(["-"]) == every


def test_a_pattern_that_matches_nothing(tmp_path):
    with pytest.raises(InputError, match=r"\*\.png: must match a file, found none"):
        score.listed([str(tmp_path / "*.png")])


@pytest.mark.parametrize("suffix", score.FORMATS)
def test_the_table(pictures, checkpoint, tmp_path, suffix):
    output = tmp_path / f"out/scores{suffix}"
    assert not run([pictures], checkpoint, output)  # one could not be scored
    rows = {Path(row["path"]).name: row for row in rows_of(output)}
    assert set(rows) == {"a.png", "bad.jpg", "c.png"}
    assert (rows["bad.jpg"]["status"], rows["bad.jpg"]["score"]) == ("failed", None)
    assert rows["bad.jpg"]["reason"] == "not an image that Pillow knows"
    good = rows["a.png"]
    assert good["score"] == pytest.approx(Scorer(checkpoint).score(pictures / "a.png").score)
    assert (good["low"], good["high"], good["direction"]) == (1, 5, "higher")
    assert good["flags"] == []
    assert len(good["worst_box"]) == 4
    assert 1 <= good["worst_overall"] <= 5
    assert not list(output.parent.glob(".*"))  # nothing is left behind


def test_a_second_run_computes_nothing_and_new_pictures_are_added(
    pictures, checkpoint, tmp_path, monkeypatch
):
    output = tmp_path / "scores.csv"
    run([pictures], checkpoint, output)
    before = output.read_bytes()
    asked = []
    real = score._score_one
    monkeypatch.setattr(score, "_score_one", lambda path: asked.append(path) or real(path))
    run([pictures], checkpoint, output)
    assert (asked, output.read_bytes()) == ([], before)
    Image.new("RGB", (64, 64)).save(pictures / "new.png")
    run([pictures], checkpoint, output)
    assert [Path(path).name for path in asked] == ["new.png"]
    assert len(rows_of(output)) == 4


def test_a_run_that_was_broken_off_goes_on(pictures, checkpoint, tmp_path, monkeypatch):
    output = tmp_path / "scores.jsonl"
    real, asked = score._score_one, []

    def broken(path):
        asked.append(path)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(score, "_score_one", broken)
        with pytest.raises(KeyboardInterrupt):
            run([pictures], checkpoint, output)
    assert not output.exists()
    asked.clear()
    monkeypatch.setattr(score, "_score_one", lambda path: asked.append(path) or real(path))
    run([pictures], checkpoint, output)
    assert len(asked) == 2
    whole = tmp_path / "whole.jsonl"
    run([pictures], checkpoint, whole)
    assert output.read_bytes() == whole.read_bytes()


def test_processes_change_no_score(pictures, checkpoint, tmp_path):
    outputs = [tmp_path / f"{workers}.jsonl" for workers in (1, 2)]
    for workers, output in zip((1, 2), outputs, strict=True):
        run([pictures], checkpoint, output, workers=workers)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_an_output_of_another_checkpoint_is_left_alone(pictures, checkpoint, tmp_path):
    output = tmp_path / "scores.csv"
    run([pictures], checkpoint, output)
    before = output.read_bytes()
    with pytest.raises(InputError, match=r"must be of checkpoint tiny .*, found tiny "):
        run([pictures], checkpoint.parent / "all-00", output)
    assert output.read_bytes() == before


@pytest.mark.parametrize(("name", "content"), [("a.csv", "x,y\n1,2\n"), ("a.parquet", "text")])
def test_an_output_that_is_something_else_is_left_alone(
    pictures, checkpoint, tmp_path, name, content
):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=r"must be scores, found other content"):
        run([pictures], checkpoint, tmp_path / name)
    assert (tmp_path / name).read_text() == content


def test_an_output_of_an_unknown_kind(pictures, checkpoint, tmp_path):
    with pytest.raises(InputError, match=r"a.xls: must end in .parquet, .csv, .jsonl"):
        run([pictures], checkpoint, tmp_path / "a.xls")


def test_heat_maps_have_the_pictures_shape(pictures, checkpoint, tmp_path):
    run([pictures / "a.png"], checkpoint, tmp_path / "s.csv", heatmaps=tmp_path / "heat")
    (path,) = (tmp_path / "heat").iterdir()
    with Image.open(path) as image:
        assert image.size == (90, 70)


def test_flags(checkpoint, tmp_path):
    Image.new("P", (40, 50)).save(tmp_path / "a.png")
    run([tmp_path / "a.png"], checkpoint, tmp_path / "s.parquet")
    assert pq.read_table(tmp_path / "s.parquet")["flags"].to_pylist() == [["tiny", "converted"]]


def test_the_command_prints_lines_and_tells_of_failures(pictures, checkpoint):
    words = ("--explain", "--workers=1", "--checkpoint", checkpoint)
    found = subprocess.run(
        [sys.executable, "-m", "rsfiqa", "score", pictures, *words],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    assert found.returncode == 3
    lines = found.stdout.splitlines()
    assert sum("worst region:" in line for line in lines) == 2
    assert sum(line.lstrip().startswith("failed") for line in lines) == 1
    assert any("%" in line and "[color" in line for line in lines)
    assert "1 of 3 could not be scored" in found.stderr


def test_a_row_is_json_all_through(pictures, checkpoint, tmp_path):
    run([pictures], checkpoint, tmp_path / "s.jsonl")
    for line in (tmp_path / "s.jsonl").read_text("utf-8").splitlines():
        assert list(json.loads(line)) == score.SCHEMA.names
