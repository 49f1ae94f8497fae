"""The score command: what it takes, what it writes, and that it goes on where it stood."""

import fcntl
import json
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rsfiqa import checkpoints
from rsfiqa.errors import ImageError, InputError
from rsfiqa.images import load
from rsfiqa.images.flags import flags_of
from rsfiqa.images.listing import expand_paths
from rsfiqa.products import region_scores, scores
from rsfiqa.products.region_scores import regions_path
from rsfiqa.scale import itu_level
from rsfiqa.score import rows
from rsfiqa.score.journal import Journal
from rsfiqa.score.scorer import Scorer
from tests.support.disks import small_disk
from tests.support.scoring import Recorder, command, interrupt, rows_of, run


@pytest.mark.parametrize("suffix", scores.FORMATS)
def test_the_table(pictures, checkpoint, tmp_path, suffix):
    output = tmp_path / f"out/scores{suffix}"
    assert not run([pictures], checkpoint, output)  # one could not be scored
    by_name = {Path(row["path"]).name: row for row in rows_of(output)}
    assert set(by_name) == {"a.png", "bad.jpg", "c.png"}
    assert (by_name["bad.jpg"]["status"], by_name["bad.jpg"]["score"]) == ("failed", None)
    assert by_name["bad.jpg"]["reason"] == "not an image of a known format"
    good = by_name["a.png"]
    assert good["score"] == pytest.approx(Scorer(checkpoint).score(pictures / "a.png").score)
    assert (good["low"], good["high"], good["direction"]) == (1, 5, "higher")
    assert good["flags"] == []
    assert len(good["worst_box"]) == 4
    assert 1 <= good["worst_overall"] <= 5
    assert not list(output.parent.glob(".*"))  # nothing is left behind


def test_the_table_of_regions(pictures, checkpoint, tmp_path):
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(pictures / "b/d.png")
    run([pictures], checkpoint, tmp_path / "s.parquet")
    found = pd.read_parquet(tmp_path / "s.regions.parquet")
    scorer = Scorer(checkpoint)
    for row in rows_of(tmp_path / "s.parquet"):
        own = found[found["location"] == row["location"]]
        if row["status"] == "failed":
            assert own.empty
            continue
        regions = scorer.score(row["location"]).regions
        assert list(own["region"]) == list(range(1, len(regions) + 1))
        assert own[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [
            list(region.box) for region in regions
        ]
        assert own["weight"].sum() == pytest.approx(1)
        assert own["area"].sum() == pytest.approx(1)
        assert own["cost"].sum() == pytest.approx(row["high"] - row["score"])
        assert (own["weight"] * own["score"]).sum() == pytest.approx(row["score"])
        for name in scores.IMAGE_RATINGS:
            assert row[name] == pytest.approx((own["weight"] * own[name]).sum())
        for families, severities, region in zip(
            own["families"], own["severities"], regions, strict=True
        ):
            assert list(zip(families, severities, strict=True)) == region.distortions
    assert found["location"].nunique() == 3


def test_percentiles_are_those_of_the_whole_table(pictures, checkpoint, tmp_path):
    """Of four pictures, two of them equal, by hand: 12.5, 50, 50 and 87.5 in some order."""
    output = tmp_path / "s.csv"
    run([pictures / "a.png"], checkpoint, output)
    assert [row["percentile"] for row in rows_of(output)] == [50]
    (pictures / "copy.png").write_bytes((pictures / "b/c.png").read_bytes())
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(pictures / "b/d.png")
    run([pictures], checkpoint, output)
    by_name = {Path(row["path"]).name: row for row in rows_of(output)}
    assert by_name["bad.jpg"]["percentile"] is None
    ranked = sorted(by_name[f"{name}.png"]["score"] for name in ("a", "c", "copy", "d"))
    for name in ("a", "c", "copy", "d"):
        row = by_name[f"{name}.png"]
        places = [place for place, score in enumerate(ranked) if score == row["score"]]
        assert row["percentile"] == 100 * (np.mean(places) + 0.5) / 4
        assert row["word"] == itu_level(row["quality"])


def test_pictures_whose_regions_are_gone_are_scored_again(pictures, checkpoint, tmp_path):
    output, regions = tmp_path / "s.parquet", tmp_path / "s.regions.parquet"
    run([pictures], checkpoint, output)
    before = [path.read_bytes() for path in (output, regions)]
    regions.unlink()
    recorder = Recorder(tmp_path / "log")
    run([pictures], checkpoint, output, score_one=recorder)
    assert recorder.names == ["a.png", "bad.jpg", "c.png"]
    assert [path.read_bytes() for path in (output, regions)] == before


@pytest.mark.slow
def test_a_kill_between_both_tables(pictures, checkpoint, tmp_path):
    """The table of regions is new, the table of scores is not, and the journal is there."""
    output, regions = tmp_path / "s.parquet", tmp_path / "s.regions.parquet"
    with pytest.raises(KeyboardInterrupt):
        run([pictures], checkpoint, output, score_one=Recorder(tmp_path / "log", c=interrupt))
    run([pictures], checkpoint, tmp_path / "t.parquet")
    (tmp_path / "t.regions.parquet").rename(regions)
    run([pictures], checkpoint, output)
    run([pictures], checkpoint, tmp_path / "u.parquet")
    assert output.read_bytes() == (tmp_path / "u.parquet").read_bytes()
    assert regions.read_bytes() == (tmp_path / "u.regions.parquet").read_bytes()


@pytest.mark.parametrize("content", [b"mine", b""])
def test_a_file_in_the_place_of_the_regions_is_left_alone(pictures, checkpoint, tmp_path, content):
    regions = tmp_path / "s.regions.parquet"
    regions.write_bytes(content)
    with pytest.raises(InputError, match=r"s.regions.parquet: not Parquet or damaged"):
        run([pictures], checkpoint, tmp_path / "s.parquet")
    assert regions.read_bytes() == content


def test_regions_of_another_checkpoint_are_left_alone(pictures, checkpoint, tmp_path):
    regions = tmp_path / "s.regions.parquet"
    run([pictures], checkpoint, tmp_path / "s.parquet")
    (tmp_path / "s.parquet").unlink()
    before = regions.read_bytes()
    with pytest.raises(InputError, match=r"s.regions.parquet: must be of checkpoint tiny .*, fou"):
        run([pictures], checkpoint.parent / "all-00", tmp_path / "s.parquet")
    assert regions.read_bytes() == before


def test_regions_move_with_their_picture_and_keep_columns_of_others(pictures, checkpoint, tmp_path):
    output, regions = tmp_path / "s.parquet", tmp_path / "s.regions.parquet"
    run([pictures], checkpoint, output)
    found = pq.read_table(regions)
    pq.write_table(found.append_column("keep", [["yes"] * len(found)]), regions)
    (pictures / "a.png").rename(pictures / "b/a.png")
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(pictures / "d.png")
    recorder = Recorder(tmp_path / "log")
    run([pictures], checkpoint, output, score_one=recorder)
    assert recorder.names == ["bad.jpg", "d.png"]
    table = pd.read_parquet(regions)
    assert set(table["location"]) == {
        str(pictures / name) for name in ("b/a.png", "b/c.png", "d.png")
    }
    assert set(table["path"]) == {str(pictures / name) for name in ("b/a.png", "b/c.png", "d.png")}
    assert set(table[table["location"] != str(pictures / "d.png")]["keep"]) == {"yes"}
    assert table[table["location"] == str(pictures / "d.png")]["keep"].isna().all()
    assert len(list(region_scores.read(regions))) == len(table)


def test_a_second_run_computes_nothing_and_new_pictures_are_added(pictures, checkpoint, tmp_path):
    output = tmp_path / "scores.csv"
    run([pictures], checkpoint, output)
    before = output.read_bytes()
    second = Recorder(tmp_path / "second")
    assert not run([pictures], checkpoint, output, score_one=second)
    assert output.read_bytes() == before
    assert second.names == ["bad.jpg"]  # it might have been repaired
    for name in ("bad.jpg", "new.png"):
        Image.new("RGB", (64, 64)).save(pictures / name)
    third = Recorder(tmp_path / "third")
    assert run([pictures], checkpoint, output, score_one=third)
    assert third.names == ["bad.jpg", "new.png"]
    assert len(rows_of(output)) == 4
    run([pictures / "a.png"], checkpoint, output)
    assert len(rows_of(output)) == 4  # rows of other pictures stay


def test_an_interrupted_run_resumes(pictures, checkpoint, tmp_path):
    output = tmp_path / "scores.jsonl"
    with pytest.raises(KeyboardInterrupt, match=r"^finished rows are kept, the same"):
        run([pictures], checkpoint, output, score_one=Recorder(tmp_path / "first", bad=interrupt))
    assert not output.exists()
    second = Recorder(tmp_path / "second")
    run([pictures], checkpoint, output, score_one=second)
    assert second.names == ["bad.jpg", "c.png"]
    whole = tmp_path / "whole.jsonl"
    run([pictures], checkpoint, whole)
    assert output.read_bytes() == whole.read_bytes()


def test_a_row_that_was_cut_short_is_made_again(pictures, checkpoint, tmp_path):
    output, journal = tmp_path / "s.jsonl", tmp_path / ".s.jsonl.journal"
    with pytest.raises(KeyboardInterrupt):
        run([pictures], checkpoint, output, score_one=Recorder(tmp_path / "first", c=interrupt))
    header, first, second = journal.read_bytes().splitlines(keepends=True)
    run([pictures], checkpoint, output)
    whole = output.read_bytes()
    output.unlink()
    journal.write_bytes(header + first + second[:50])
    again = Recorder(tmp_path / "again")
    run([pictures], checkpoint, output, score_one=again)
    assert again.names == ["bad.jpg", "c.png"]
    assert output.read_bytes() == whole


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_command_resumes(checkpoint, tmp_path, noise, number):
    (tmp_path / "p").mkdir()
    for i in range(60):
        Image.fromarray(np.roll(noise, i)).save(tmp_path / f"p/{i:02d}.png")
    output, journal = tmp_path / "s.jsonl", tmp_path / ".s.jsonl.journal"
    words = (tmp_path / "p", "--workers=2", "--checkpoint", checkpoint, "-o", output, "--explain")
    with command(*words, start_new_session=True) as process:
        # what is printed fills the pipe, and the command waits until it is killed
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        while process.poll() is None and not (
            journal.is_file() and journal.read_bytes().count(b"\n") > 1
        ):
            time.sleep(0.01)
        process.kill() if number == signal.SIGKILL else os.killpg(process.pid, number)
        _, errors = process.communicate()
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130}[number]
    assert "Traceback" not in errors
    if number == signal.SIGINT:
        kept = "interrupted; finished rows are kept, the same command resumes"
        assert errors.splitlines()[-1] == f"rsfiqa score: {kept}"
    done = [json.loads(line)["path"] for line in journal.read_bytes().splitlines()[1:]]
    assert 0 < len(done) < 60
    second = Recorder(tmp_path / "second")
    run([tmp_path / "p"], checkpoint, output, score_one=second)
    assert sorted(done + second.paths) == sorted(map(str, (tmp_path / "p").iterdir()))
    run([tmp_path / "p"], checkpoint, tmp_path / "whole.jsonl")
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_two_runs_at_once(checkpoint, pictures, tmp_path):
    label = checkpoints.label_of(*checkpoints.read_card(checkpoint))
    with (
        Journal(tmp_path / "s.csv", label),
        pytest.raises(InputError, match=r"s.csv: must be written by one run at a time, foun"),
    ):
        run([pictures], checkpoint, tmp_path / "s.csv")


def test_processes_change_no_score(pictures, checkpoint, tmp_path):
    outputs = [tmp_path / f"{processes}.jsonl" for processes in (1, 2)]
    for processes, output in zip((1, 2), outputs, strict=True):
        run([pictures], checkpoint, output, workers=processes)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_an_output_of_another_checkpoint_is_left_alone(pictures, checkpoint, tmp_path):
    output = tmp_path / "scores.csv"
    run([pictures], checkpoint, output)
    before = output.read_bytes()
    with pytest.raises(InputError, match=r"must be of checkpoint tiny .*, found tiny "):
        run([pictures], checkpoint.parent / "all-00", output)
    assert output.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "x,y\n1,2\n"), ("a.csv", "path\na\n"), ("a.parquet", "text"), ("a.jsonl", "[1]\n")],
)
def test_an_output_that_is_something_else_is_left_alone(
    pictures, checkpoint, tmp_path, name, content
):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=r"must be scores, found other content|not Parquet"):
        run([pictures], checkpoint, tmp_path / name)
    assert (tmp_path / name).read_text() == content


def test_an_output_of_an_unknown_kind(pictures, checkpoint, tmp_path):
    with pytest.raises(InputError, match=r"a.xls: must end in .parquet, .csv, .jsonl"):
        run([pictures], checkpoint, tmp_path / "a.xls")


def test_an_output_that_is_a_folder(pictures, checkpoint, tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(InputError, match=r"a.csv: must be a file, found a folder; give another"):
        run([pictures], checkpoint, tmp_path / "a.csv")


def test_flags(checkpoint, tmp_path, noise):
    Image.new("P", (40, 50)).save(tmp_path / "a.png")
    large = Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC)
    large.save(tmp_path / "b.png")
    Image.fromarray(noise).save(tmp_path / "c.png")
    run([tmp_path], checkpoint, tmp_path / "s.parquet")
    flags = pq.read_table(tmp_path / "s.parquet")["flags"].to_pylist()
    assert flags == [["tiny", "converted"], ["upscaled"], []]
    huge = load.LoadedImage(np.zeros((50, 60, 3), np.uint8), (6000, 5000), converted=False)
    assert flags_of(huge) == ["huge"]


def test_a_picture_of_much_memory_is_read_alike(tmp_path):
    Image.radial_gradient("L").resize((8000, 7000)).save(tmp_path / "a.png", compress_level=1)
    loaded, expected = rows.load_image(tmp_path / "a.png"), load.load_image(tmp_path / "a.png")
    np.testing.assert_array_equal(loaded.pixels, expected.pixels)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="damaged or cut short"):
        rows.load_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--as-shard", "-os.parquet", "--explain"], "must stand without --explain, found both"),
        (
            ["--as-shard", "-os.parquet", "l/*.parquet"],
            "must be a list of pictures .* no such file",
        ),
        (["--as-shard", "-os.csv"], "must come with a table in Parquet, found s.csv"),
        (
            ["--max-failed-fraction=0.5"],
            "must come with --as-shard, found it alone; add --as-shard or leave",
        ),
        (["--sam-checkpoint=nowhere.pth"], "must be a file, found none at nowhere.pth"),
    ],
)
def test_options_that_would_do_nothing_are_refused(pictures, checkpoint, words, message):
    with command(*words, pictures, f"--checkpoint={checkpoint}") as found:
        _, errors = found.communicate(timeout=60)
    assert found.returncode == 1
    assert re.search(message, errors)
    assert errors.count("\n") == 1


def test_the_command_prints_lines_and_tells_of_failures(pictures, checkpoint):
    words = ("--explain", "--workers=1", "--checkpoint", checkpoint)
    with command(pictures, *words) as process:
        output, errors = process.communicate()
    assert process.returncode == 3
    lines = output.splitlines()
    assert sum("worst region:" in line for line in lines) == 2
    assert lines[0].split()[0] == f"{Scorer(checkpoint).score(pictures / 'a.png').score:.2f}"
    assert sum(line.lstrip().startswith("failed") for line in lines) == 1
    assert any("%" in line and "[color" in line for line in lines)
    assert "score: 3 images, 1 failed, " in errors
    reason = "(not an image of a known format)"
    assert errors.splitlines()[-1] == f"failed: {pictures}/bad.jpg {reason}"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_failed_picture_stands_once_in_a_terminal(
    pictures, checkpoint, monkeypatch, capsys, caplog, is_terminal
):
    caplog.set_level("INFO", "rsfiqa")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert not run([pictures / "bad.jpg"], checkpoint)
    assert capsys.readouterr().out.count("bad.jpg") == 1
    assert ("bad.jpg" in caplog.text) is not is_terminal
    assert "score: 1 image, 1 failed, " in caplog.text


def test_a_reader_that_has_enough(pictures, checkpoint):
    """As with `| head -1`: no trace, and the rest is not scored."""
    with command(pictures, "--workers=1", "--checkpoint", checkpoint, "--explain") as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 1
    assert errors == ""


def test_a_row_is_json_all_through(pictures, checkpoint, tmp_path):
    run([pictures], checkpoint, tmp_path / "s.jsonl")
    for line in (tmp_path / "s.jsonl").read_text("utf-8").splitlines():
        assert list(json.loads(line)) == scores.SCHEMA.names


def test_no_pictures(checkpoint, tmp_path):
    pattern = rf"^{tmp_path}: must name pictures, found none; give files or a folder of some$"
    with pytest.raises(InputError, match=pattern):
        run([tmp_path], checkpoint)
    (tmp_path / "none.txt").write_text("")
    with pytest.raises(InputError, match=rf"^{tmp_path}, {tmp_path}/none.txt: must name pictures"):
        run([tmp_path, tmp_path / "none.txt"], checkpoint)


def test_a_file_where_a_folder_is_needed_is_said_before_anything_is_scored(pictures, checkpoint):
    blocking = pictures / "a.png"
    before = sorted(pictures.rglob("*"))
    pattern = r"a\.png: must be a folder, found a file; give another name$"
    with pytest.raises(InputError, match=pattern):
        run([pictures], checkpoint, blocking / "s.csv")
    with pytest.raises(InputError, match=pattern):
        run([pictures], checkpoint, pictures / "s.csv", heatmaps=blocking)
    assert sorted(pictures.rglob("*")) == before


def test_the_regions_of_what_is_done_already_are_not_printed(pictures, checkpoint, caplog):
    caplog.set_level("INFO", "rsfiqa")
    for _ in range(2):
        run([pictures / "a.png"], checkpoint, pictures / "s.csv", explain=True)
    assert caplog.messages[-1] == "1 of 1 are done already; --explain is about the others"


def test_a_list_that_names_a_missing_file(pictures, checkpoint, tmp_path):
    (tmp_path / "list.txt").write_text(f"{pictures}/none.png\n\n{pictures}/a.png\n")
    assert not run([tmp_path / "list.txt"], checkpoint, tmp_path / "s.csv")
    missing, there = rows_of(tmp_path / "s.csv")
    assert (missing["status"], missing["reason"]) == ("failed", "no such file")
    assert there["status"] == "ok"


def test_a_name_that_is_not_utf_8(checkpoint, tmp_path, noise):
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Image.fromarray(noise).save(os.fsdecode(path))
    (tmp_path / "list.txt").write_bytes(path + b"\n")
    for suffix in scores.FORMATS:
        output = tmp_path / f"s{suffix}"
        assert run([tmp_path / "list.txt"], checkpoint, output)
        assert [Path(row["path"]).name for row in rows_of(output)] == [r"caf\xe9.png"]


class TestPermissions:
    """What others may not read, as somebody who is not root."""

    @pytest.fixture
    def place(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            yield Path(folder)

    @pytest.fixture
    def somebody(self):
        if os.geteuid():
            yield
            return
        os.seteuid(65534)
        yield
        os.seteuid(0)

    def locked(self, path):
        path.chmod(0)
        return path

    def test_a_picture(self, place, noise, request):
        Image.fromarray(noise).save(place / "a.png")
        self.locked(place / "a.png")
        request.getfixturevalue("somebody")
        with pytest.raises(ImageError, match=r"unreadable header \(.*Permission denied"):
            load.load_image(place / "a.png")

    def test_a_folder(self, place, request):
        (place / "sub").mkdir()
        self.locked(place / "sub")
        request.getfixturevalue("somebody")
        with pytest.raises(InputError, match=r"sub: the folder cannot be listed \(Permission den"):
            expand_paths([str(place)])

    def test_a_list(self, place, request):
        (place / "a.txt").touch()
        self.locked(place / "a.txt")
        request.getfixturevalue("somebody")
        with pytest.raises(InputError, match=r"a.txt: cannot be read \(Permission denied\); mend"):
            expand_paths([str(place / "a.txt")])

    def test_what_lies_in_a_folder(self, place, request):
        (place / "sub").mkdir()
        self.locked(place / "sub")
        request.getfixturevalue("somebody")
        with pytest.raises(InputError, match=r"a.png: cannot be read \(Permission denied\); mend"):
            expand_paths([str(place / "sub/a.png")])

    def test_an_output(self, place, request):
        (place / "sub").mkdir()
        request.getfixturevalue("somebody")
        with pytest.raises(InputError, match=r"s.csv: cannot be written \(Permission denied\)"):
            Journal(place / "sub/s.csv", "label")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", scores.FORMATS)
def test_a_full_disk(checkpoint, tmp_path, noise, suffix):
    for i in range(20):
        (tmp_path / "p").mkdir(exist_ok=True)
        Image.fromarray(np.roll(noise, i)).save(tmp_path / f"p/{i:02d}.png")
    with small_disk(tmp_path / "disk", "size=256k") as disk:
        (disk / "filler").write_bytes(bytes(248 * 1024))
        output = disk / f"s{suffix}"
        with pytest.raises(
            InputError, match=r"cannot be written \(No space left on device\); make"
        ):
            run([tmp_path / "p"], checkpoint, output)
        assert not output.exists()
        (disk / "filler").unlink()
        assert run([tmp_path / "p"], checkpoint, output)
        assert run([tmp_path / "p"], checkpoint, tmp_path / f"whole{suffix}")
        assert rows_of(output) == rows_of(tmp_path / f"whole{suffix}")
        written = {output, regions_path(output) or output}
        assert set(disk.iterdir()) == written


def test_a_row_has_the_columns_of_the_schema():
    assert list(scores.Row.__annotations__) == scores.SCHEMA.names


def test_a_table_of_an_earlier_version_is_left_alone(pictures, checkpoint, tmp_path):
    output = tmp_path / "s.csv"
    run([pictures], checkpoint, output)
    output.write_text(output.read_text("utf-8").replace("worst_score", "worst_quality"), "utf-8")
    with pytest.raises(InputError, match=r"s.csv: must be scores, found other content \(no c"):
        run([pictures], checkpoint, output)


def test_a_journal_of_an_earlier_version_is_left_alone(pictures, checkpoint, tmp_path):
    journal = tmp_path / ".s.csv.journal"
    with pytest.raises(KeyboardInterrupt):
        run(
            [pictures],
            checkpoint,
            tmp_path / "s.csv",
            score_one=Recorder(tmp_path / "first", bad=interrupt),
        )
    header = f'"journal of scores": {scores.VERSION}'
    journal.write_text(journal.read_text("utf-8").replace(header, header[:-1] + "2"), "utf-8")
    with pytest.raises(InputError, match=r"s.csv.journal: must be the journal of .* of version 2;"):
        run([pictures], checkpoint, tmp_path / "s.csv")
