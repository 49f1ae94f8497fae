"""How the pictures of a run are listed and divided into shards."""

import os
from pathlib import Path

import pytest

from rsfiqa.errors import InputError
from rsfiqa.images.location import file_state
from rsfiqa.products import picture_lists
from rsfiqa.score.plan import stage


@pytest.fixture
def pictures(tmp_path):
    """Seven files that promise to be pictures, and one that is none."""
    root = tmp_path / "pictures"
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "sub/a.jpg", "sub/b.jpg", "z.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "notes.md").touch()
    return root


def planned(folder: Path, *arguments: object, shard_size: int = 3) -> list[list[str]]:
    """The names of the pictures of each shard."""
    plan = stage.run(folder, [str(word) for word in arguments], shard_size=shard_size)
    shards = [
        [Path(name).name for name in picture_lists.read_list(path)["location"].to_pylist()]
        for path in picture_lists.lists(folder)
    ]
    assert (plan.shards, plan.pictures) == (len(shards), sum(map(len, shards)))
    assert picture_lists.read(folder) == plan
    return shards


def test_pictures_are_divided_in_the_order_of_their_locations(pictures, tmp_path):
    assert planned(tmp_path / "run", pictures, pictures / "z.jpg") == [
        ["a.jpg", "b.jpg", "c.jpg"],
        ["d.jpg", "a.jpg", "b.jpg"],
        ["z.jpg"],
    ]


def test_size_and_time_are_those_of_a_table_of_scores(pictures, tmp_path):
    os.utime(pictures / "a.jpg", ns=(0, 123456789012345678))
    listing = tmp_path / "list.txt"
    listing.write_text(f"{pictures / 'a.jpg'}\n{pictures / 'gone.jpg'}\n")
    stage.run(tmp_path / "run", [str(listing)], shard_size=9)
    first, gone = picture_lists.read_list(tmp_path / "run/plan/00000.parquet").to_pylist()
    assert first == file_state(str(pictures / "a.jpg"))
    assert gone == file_state(str(pictures / "gone.jpg"))
    assert gone["size"] is None


def test_pictures_keep_their_shards_when_others_come_or_go(pictures, tmp_path):
    run = tmp_path / "run"
    planned(run, pictures)
    times = [path.stat().st_mtime_ns for path in picture_lists.lists(run)]
    assert planned(run, pictures) == planned(run, pictures, shard_size=9)
    assert [path.stat().st_mtime_ns for path in picture_lists.lists(run)] == times
    for name in ("0.jpg", "1.jpg", "2.jpg"):
        (pictures / name).touch()
    (pictures / "b.jpg").unlink()
    assert planned(run, pictures) == [
        ["a.jpg", "c.jpg"],
        ["d.jpg", "a.jpg", "b.jpg"],
        ["z.jpg", "0.jpg", "1.jpg"],
        ["2.jpg"],
    ]
    assert [path.stat().st_mtime_ns for path in picture_lists.lists(run)][1] == times[1]


def test_shards_that_a_run_has_no_more_are_removed(pictures, tmp_path):
    run = tmp_path / "run"
    planned(run, pictures)
    (run / "score").mkdir()
    for name in ("00001.parquet", "00002.parquet", "00002.regions.parquet", "00002.stats.json"):
        (run / "score" / name).touch()
    (pictures / "z.jpg").unlink()
    assert len(planned(run, pictures)) == 2
    assert [path.name for path in (run / "score").iterdir()] == ["00001.parquet"]


def test_the_digest_tells_of_any_change(pictures, tmp_path):
    digests = set()
    for change in (lambda: None, (pictures / "a.jpg").touch, (pictures / "new.jpg").touch):
        change()
        digests.add(picture_lists.digest(stage.listed([str(pictures)])[0]))
    assert len(digests) == 3
    assert stage.run(tmp_path, [str(pictures)], shard_size=2).listing in digests


def test_runs_that_cannot_be_planned(pictures, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.md").touch()
    with pytest.raises(InputError, match=r"must name pictures, found none \(1 \(no picture, .md"):
        stage.run(tmp_path / "run", [str(tmp_path / "empty")], shard_size=3)
    planned(tmp_path / "run", pictures)
    (tmp_path / "run/plan/00001.parquet").write_bytes(b"no Parquet")
    with pytest.raises(InputError, match=r"00001.parquet: not Parquet or damaged"):
        planned(tmp_path / "run", pictures)
