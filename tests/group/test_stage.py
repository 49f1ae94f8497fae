import csv
import json
import logging
import math
import os
from datetime import datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

from benchmarks.curate.scenes import write_scores
from rsfiqa import cli
from rsfiqa.errors import InputError
from rsfiqa.group import sources, stage
from rsfiqa.group.options import GroupOptions
from rsfiqa.group.sources import Scored
from rsfiqa.products import fingerprints
from rsfiqa.scale import MosScale
from tests.support.bursts import save

NOON = datetime(2024, 5, 1, 12)


def no_score(paths):
    raise AssertionError(f"scored {paths}")


def run(*arguments, output=None, score=no_score, **options):
    words = [str(one) for one in arguments]
    given = GroupOptions(**options)
    return stage.run(words, given, output=output, workers=1, score=score)


def rows_of(path):
    return {row["path"].rpartition("/")[2]: row for row in pq.read_table(path).to_pylist()}


@pytest.fixture
def pictures(tmp_path):
    """A burst of three frames, the same bytes twice, a copy of half the size, and two others."""
    image, folder = data.astronaut(), tmp_path / "pictures"
    save(folder / "burst0.jpg", image[:-30, :-20], NOON)
    save(folder / "burst1.jpg", image[30:, 20:], NOON + timedelta(seconds=1))
    save(folder / "burst2.jpg", (image[15:-15, 10:-10] * 0.6).astype(np.uint8))
    coffee = save(folder / "coffee.png", data.coffee())
    (folder / "copy.png").write_bytes(coffee.read_bytes())
    half = Image.fromarray(data.coffee()).resize((300, 200), Image.Resampling.BOX)
    save(folder / "half.png", np.asarray(half))
    save(folder / "chelsea.png", data.chelsea())
    save(folder / "rocket.png", data.rocket())
    return folder


@pytest.fixture
def table(pictures, tmp_path):
    scores = {path: 10.0 * i for i, path in enumerate(sorted(pictures.iterdir()))}
    return write_scores(tmp_path / "scores.parquet", scores)


def test_a_scored_folder(pictures, table, tmp_path):
    assert run(table, output=tmp_path / "groups.parquet")
    rows = rows_of(tmp_path / "groups.parquet")
    found = {name: (row["group"], row["rank"], row["relation"]) for name, row in rows.items()}
    assert found == {
        "burst2.jpg": (1, 1, "best"),
        "burst1.jpg": (1, 2, "similar"),
        "burst0.jpg": (1, 3, "similar"),
        "chelsea.png": (2, 1, "single"),
        "copy.png": (3, 1, "best"),
        "coffee.png": (3, 2, "same_bytes"),
        "half.png": (3, 3, "reduced"),
        "rocket.png": (4, 1, "single"),
    }
    assert [name for name, row in rows.items() if row["best"]] == [
        name for name, row in rows.items() if row["rank"] == 1
    ]
    assert {name: rows[name]["members"] for name in ("burst0.jpg", "rocket.png")} == {
        "burst0.jpg": 3,
        "rocket.png": 1,
    }
    assert rows["burst1.jpg"]["taken"] == "2024-05-01T12:00:01"
    assert rows["half.png"]["score"] == 60.0
    assert rows["half.png"]["location"] == str(pictures / "half.png")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_all_formats_hold_the_same(table, tmp_path, suffix):
    output = tmp_path / f"groups.{suffix}"
    run(table, output=output)
    if suffix == "csv":
        rows = list(csv.DictReader(output.read_text("utf-8").splitlines()))
        assert (rows[0]["best"], rows[1]["best"]) == ("true", "false")
    elif suffix == "jsonl":
        rows = [json.loads(line) for line in output.read_text().splitlines()]
    else:
        rows = pq.read_table(output).to_pylist()
    assert len(rows) == 8
    assert [str(row["group"]) for row in rows] == list("11123334")
    assert list(rows[0]) == [
        *("path", "group", "members", "rank", "best", "relation", "reason", "score"),
        *("width", "height", "taken", "location"),
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_tables_of_scores_in_other_formats(pictures, tmp_path, suffix):
    scores = dict.fromkeys(pictures.iterdir(), 50.0)
    table = write_scores(tmp_path / f"scores.{suffix}", scores)
    assert run(table, output=tmp_path / "groups.parquet")
    assert len(rows_of(tmp_path / "groups.parquet")) == 8


def test_ratings_are_numbers_of_any_kind_and_unknown_ones_are_left_out(pictures, tmp_path):
    table = write_scores(tmp_path / "scores.jsonl", {pictures / "rocket.png": 50.0})
    row = json.loads(table.read_text())
    row |= {"color": 3, "noise": 2.5, "artifact": None}
    table.write_text(json.dumps(row) + "\n")
    (found,) = sources.read([str(table)]).scored.values()
    assert found.ratings == {"color": 3.0, "noise": 2.5}
    ratings = {"color": math.nan, "blur": 4.0}
    assert Scored.of(50, MosScale(0, 100), ratings).ratings == {"blur": 4.0}


def test_the_same_result_from_kept_fingerprints(table, tmp_path):
    output = tmp_path / "groups.parquet"
    run(table, output=output)
    cache = fingerprints.cache_path(table)
    first, kept = output.read_bytes(), cache.read_bytes()
    run(table, output=output)
    assert (output.read_bytes(), cache.read_bytes()) == (first, kept)
    cache.write_bytes(b"no Parquet")
    run(table, output=output)
    assert (output.read_bytes(), cache.read_bytes()) == (first, kept)


def test_copies_are_compared_once(pictures, tmp_path):
    """The verdict is kept, and made again when either file changes."""
    big = np.asarray(Image.fromarray(data.coffee()).resize((1200, 800), Image.Resampling.BICUBIC))
    large, small = (
        save(tmp_path / "p/large.png", big),
        save(tmp_path / "p/small.png", data.coffee()),
    )
    table = write_scores(tmp_path / "s.parquet", {large: 90.0, small: 10.0})
    cache, output = fingerprints.cache_path(table), tmp_path / "g.parquet"
    run(table, output=output)
    assert rows_of(output)["large.png"]["relation"] == "enlarged"
    kept = fingerprints.read(cache)
    assert kept[str(large)]["has_more"] is False
    kept[str(large)]["has_more"] = True  # as if the picture showed more
    fingerprints.write(cache, kept.values())
    run(table, output=output)
    assert rows_of(output)["large.png"]["best"]
    save(small, data.coffee()[1:])
    run(table, output=output)
    assert rows_of(output)["large.png"]["relation"] == "enlarged"


def test_a_picture_that_has_changed_is_read_again_and_has_no_score(
    pictures, table, tmp_path, caplog
):
    output = tmp_path / "groups.parquet"
    run(table, output=output)
    save(pictures / "rocket.png", data.astronaut())
    with caplog.at_level(logging.INFO, "rsfiqa"):
        run(table, output=output)
    row = rows_of(output)["rocket.png"]
    assert (row["group"], row["score"], row["rank"]) == (1, None, 4)
    assert "1 pictures of groups have no score in" in caplog.text
    assert "1 pictures have changed since" in caplog.text


def test_without_a_table_the_pictures_of_groups_are_scored_each_content_once(pictures, tmp_path):
    asked = []

    def score(paths):
        asked.extend(path.name for path in paths)
        return (Scored(float(i), float(i), i / 100, {}) for i in range(len(paths)))

    run(pictures, output=tmp_path / "groups.parquet", score=score)
    assert asked == ["burst0.jpg", "burst1.jpg", "burst2.jpg", "coffee.png", "half.png"]
    rows = rows_of(tmp_path / "groups.parquet")
    assert (rows["copy.png"]["score"], rows["coffee.png"]["score"]) == (3.0, 3.0)
    assert rows["rocket.png"]["score"] is None
    assert rows["burst2.jpg"]["best"]


def test_a_table_gives_the_scores_of_the_pictures_named_beside_it(pictures, table, tmp_path):
    output = tmp_path / "groups.parquet"
    run(pictures / "burst0.jpg", pictures / "burst1.jpg", table, output=output)
    rows = rows_of(output)
    assert {name: row["score"] for name, row in rows.items()} == {
        "burst1.jpg": 10.0,
        "burst0.jpg": 0.0,
    }


def test_lower_scores_can_be_better(pictures, tmp_path):
    scores = {pictures / f"burst{i}.jpg": 30.0 + 10 * i for i in range(3)}
    table = write_scores(tmp_path / "s.parquet", scores, direction="lower")
    run(table, output=tmp_path / "groups.parquet")
    assert rows_of(tmp_path / "groups.parquet")["burst0.jpg"]["best"]


def test_scores_beyond_the_scale_are_told_apart(pictures, tmp_path):
    scores = {pictures / f"burst{i}.jpg": 105.0 + 5 * i for i in range(3)}
    run(write_scores(tmp_path / "s.parquet", scores), output=tmp_path / "groups.parquet")
    assert rows_of(tmp_path / "groups.parquet")["burst2.jpg"]["best"]


def test_the_time_lets_frames_of_a_burst_differ_more(tmp_path):
    image = data.astronaut()
    for seconds, name in ((0, "a"), (2, "b"), (3600, "c")):
        moved = np.roll(image, 30 * (name != "a"), 1)
        save(tmp_path / "p" / f"{name}.png", moved, NOON + timedelta(seconds=seconds))
    found = {}
    for limits in ((0.99, 0.5), (0.99, 0.99)):
        options = dict(zip(("similarity", "burst_similarity"), limits, strict=True))
        output = tmp_path / "g.parquet"
        run(tmp_path / "p", output=output, score=lambda paths: (None for _ in paths), **options)
        found[limits] = [row["group"] for _, row in sorted(rows_of(output).items())]
    assert found[0.99, 0.5] == [1, 1, 1]  # c has the pixels of b
    assert found[0.99, 0.99] == [1, 2, 2]


def test_a_bad_picture_is_a_row_and_the_rest_is_grouped(pictures, tmp_path, capsys):
    (pictures / "bad.jpg").write_text("no picture")
    (pictures / "empty.png").touch()
    output = tmp_path / "groups.parquet"
    assert not run(pictures, output=output, score=lambda paths: (None for _ in paths))
    rows = rows_of(output)
    assert len(rows) == 10
    assert (rows["bad.jpg"]["relation"], rows["bad.jpg"]["group"]) == ("failed", None)
    assert rows["empty.png"]["reason"] == "empty file (0 bytes)"
    assert not rows["bad.jpg"]["best"]


def test_nothing_that_can_be_read(tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    output = tmp_path / "g.parquet"
    assert not run(tmp_path / "bad.jpg", tmp_path / "gone.jpg", output=output)
    assert {name: row["reason"] for name, row in rows_of(output).items()} == {
        "bad.jpg": "not an image of a known format",
        "gone.jpg": "no such file",
    }


def test_fingerprints_survive_an_interruption(pictures, tmp_path):
    def interrupted(paths):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(pictures, output=tmp_path / "g.csv", score=interrupted)
    assert len(fingerprints.read(tmp_path / ".g.csv.fingerprints")) == 8
    assert not (tmp_path / "g.csv").exists()


def test_fingerprints_that_cannot_be_kept_cost_time_only(table, tmp_path, caplog):
    fingerprints.cache_path(table).mkdir()
    with caplog.at_level(logging.INFO, "rsfiqa"):
        assert run(table, output=tmp_path / "g.csv")
    assert "the next run reads all again" in caplog.text


def test_printed_groups(table, capsys):
    assert run(table)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "group 1, 3 pictures"
    assert lines[1].startswith("*  20.00  ")
    assert lines[2].startswith("   10.00  ")
    assert len(lines) == 8
    assert not any("rocket" in line for line in lines)


def test_nothing_but_flat_pictures(tmp_path):
    for name, value in (("a", 0), ("b", 255), ("c", 0)):
        save(tmp_path / "p" / f"{name}.png", np.full((64, 64, 3), value, np.uint8))
    output = tmp_path / "g.parquet"
    run(tmp_path / "p", output=output, score=lambda paths: (None for _ in paths))
    assert [row["group"] for _, row in sorted(rows_of(output).items())] == [1, 2, 1]  # same bytes


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_names_that_are_not_utf_8_are_found_from_the_table(pictures, tmp_path):
    name = os.fsdecode(os.fsencode(pictures) + b"/caf\xe9.png")
    save(pictures / "x.png", data.coins()[..., None].repeat(3, 2)).rename(name)
    table = write_scores(tmp_path / "s.parquet", {pictures / "rocket.png": 5.0})
    row = next(iter(pq.read_table(table).to_pylist()))
    assert row["status"] == "ok"
    run(name, output=tmp_path / "g.parquet")
    (row,) = rows_of(tmp_path / "g.parquet").values()
    assert row["path"].endswith("caf\\xe9.png")


class TestRefused:
    def one_line(self, pattern, *arguments, **options):
        with pytest.raises(InputError, match=pattern) as caught:
            run(*arguments, **options)
        assert "\n" not in str(caught.value)

    def test_no_pictures(self, tmp_path):
        (tmp_path / "a.odt").write_text("x")
        pattern = rf"{tmp_path}: must name pictures, found none \(1 \(no picture, .odt"
        self.one_line(pattern, tmp_path)

    def test_a_table_that_is_missing(self, tmp_path):
        self.one_line(r"s.csv: no such file; write it with rsfiqa score", tmp_path / "s.csv")

    def test_a_table_that_is_none(self, tmp_path):
        (tmp_path / "s.csv").write_text("a,b\n1,2\n")
        self.one_line(r"s.csv: must be scores, found other content", tmp_path / "s.csv")

    def test_a_table_without_rows(self, tmp_path):
        self.one_line("found none", write_scores(tmp_path / "s.parquet", {}))

    def test_tables_of_two_checkpoints(self, pictures, table, tmp_path):
        other = write_scores(
            tmp_path / "o.parquet", {pictures / "rocket.png": 1.0}, checkpoint="other 11111111"
        )
        self.one_line("must be of checkpoint toy 00000000, found other 11111111", table, other)

    def test_the_table_of_scores_as_output(self, table):
        self.one_line("must be an earlier table of groups", table, output=table)

    @pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
    def test_an_output_that_is_another_file(self, table, tmp_path, suffix):
        output = tmp_path / f"mine.{suffix}"
        output.write_text("name,age\nme,7\n")
        self.one_line("must be an earlier table of groups, found another", table, output=output)
        assert output.read_text() == "name,age\nme,7\n"

    def test_another_suffix(self, table, tmp_path):
        self.one_line("must end in .parquet, .csv, .jsonl", table, output=tmp_path / "g.txt")


def test_printed_scores_and_differences_lie_within_the_scale(pictures, tmp_path, capsys):
    scores = dict.fromkeys(pictures.iterdir(), 50.0)
    scores |= {pictures / "burst0.jpg": -20.0, pictures / "burst1.jpg": 130.0}
    run(write_scores(tmp_path / "scores.parquet", scores))
    shown = capsys.readouterr().out
    assert "  0.00  " in shown
    assert "100.00  " in shown
    assert "quality 100.0 points lower" in shown


def test_the_command(pictures, table, tmp_path, capsys):
    words = ["group", str(table), "-o", str(tmp_path / "g.csv"), "--workers", "1"]
    assert cli.main(words) == 0
    assert cli.main(words) == 0  # an earlier table is replaced
    (pictures / "bad.jpg").write_text("no picture")
    assert cli.main([*words[:2], str(pictures), *words[2:]]) == 3
    assert cli.main([*words, "--similarity", "7"]) == 2
    assert "similarity" in capsys.readouterr().err


def test_a_checkpoint_is_checked_before_pictures_are_read(pictures, table, tmp_path, capsys):
    assert cli.main(["group", str(table), "--checkpoint", str(tmp_path)]) == 1
    assert "--checkpoint: needs paths without a table of scores" in capsys.readouterr().err
    output = str(tmp_path / "g.csv")
    assert cli.main(["group", str(pictures), "-o", output, "--checkpoint", str(tmp_path)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not fingerprints.cache_path(tmp_path / "g.csv").exists()


def test_the_command_scores_the_pictures_of_groups(pictures, capsys):
    burst = [str(path) for path in sorted(pictures.glob("burst*.jpg"))]
    assert cli.main(["group", *burst, "--workers", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "group 1, 3 pictures"
    assert all(float(line[1:8]) for line in lines[1:])
    assert "burst2.jpg" not in lines[1]  # the dark one
