"""Unrated pictures through the workflow: snakemake score."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from rsfiqa.checkpoints import PACKAGED
from rsfiqa.products import failures, score_tables
from rsfiqa.products.paths import failures_path
from rsfiqa.score.plan import stage
from tests.support.checkpoints import with_card
from tests.support.scoring import command, rows_of
from tests.support.workflow import Workflow

PER_SHARD = 4


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six pictures, and a list of one more, of a damaged one and of one that is not there."""
    root = tmp_path_factory.mktemp("photos")
    (root / "more").mkdir()
    for i in range(7):
        noise = np.random.default_rng(i).normal(128, 5 + 9 * i, (48, 64, 3))
        folder = root if i < 6 else root / "more"
        Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    (root / "more/bad.jpg").write_text("no picture")
    (root / "more/list.csv").write_text("path\n6.png\nbad.jpg\ngone.jpg\n")
    return root


def workflow_of(folder, photos, **changes) -> Workflow:
    """A workflow that is to score the photos."""
    paths = [str(photos / "*.png"), str(photos / "more/list.csv")]
    return Workflow(
        folder, score={"runs": {"mine": {"paths": paths}}, "shard_size": PER_SHARD, **changes}
    )


@pytest.fixture(scope="module")
def scored(photos, tmp_path_factory):
    workflow = workflow_of(tmp_path_factory.mktemp("scored"), photos)
    found = workflow.snakemake("score")
    assert found.returncode == 0, found.stdout
    return workflow


def tables(workflow):
    return score_tables.shards(workflow.results / "mine/score")


def test_shards_are_one_data_set_with_the_rows_of_rsfiqa_score(scored, photos, tmp_path):
    words = [photos / "*.png", photos / "more/list.csv", "-o", tmp_path / "one.parquet"]
    with command(*words, "--workers=1") as process:
        assert process.wait(300) == 3  # some failed
    one = {row["location"]: row | {"path": ""} for row in rows_of(tmp_path / "one.parquet")}
    shards = [rows_of(path) for path in tables(scored)]
    assert [len(rows) for rows in shards] == [PER_SHARD, PER_SHARD, 1]
    assert {row["location"]: row | {"path": ""} for rows in shards for row in rows} == one
    failed = [failures.read(failures_path(path)).to_pylist() for path in tables(scored)]
    assert {row["image"]: row["reason"] for rows in failed for row in rows} == {
        location: row["reason"] for location, row in one.items() if row["status"] == "failed"
    }
    for path in tables(scored):
        assert path.with_suffix(".regions.parquet").is_file()
        assert path.with_suffix(".stats.json").is_file()
    summary = json.loads((scored.results / "mine/score/summary.json").read_text("utf-8"))
    assert (summary["pictures"], summary["failed"]) == (9, 2)
    log = (scored.results / "logs/score/mine/00002.log").read_text("utf-8")
    assert f"failed: {photos / 'more/gone.jpg'} (no such file)" in log


def test_nothing_is_done_twice(scored):
    assert "Nothing to be done" in scored.snakemake("score").stdout
    assert "Nothing to be done" in scored.snakemake("score", "--config", "seed=1").stdout


def test_new_and_changed_pictures_are_scored_and_no_others(scored, photos, tmp_path):
    photos = shutil.copytree(photos, tmp_path / "photos")
    workflow = workflow_of(tmp_path / "run", photos)
    assert workflow.snakemake("score").returncode == 0
    before = {row["location"]: row for path in tables(workflow) for row in rows_of(path)}
    shutil.copy(photos / "5.png", photos / "0.png")
    shutil.copy(photos / "1.png", photos / "new.png")
    found = workflow.snakemake("score")
    assert found.returncode == 0, found.stdout
    assert "plan.json: the pictures have changed; made again" in found.stdout
    stats = [
        json.loads(path.with_suffix(".stats.json").read_text("utf-8")) for path in tables(workflow)
    ]
    assert [part["scored"] for part in stats] == [1, 4, 2]  # the second shard was not run again
    after = {row["location"]: row for path in tables(workflow) for row in rows_of(path)}
    changed = {
        name for name, row in after.items() if row["score"] != before.get(name, {}).get("score")
    }
    assert changed == {str(photos / "0.png"), str(photos / "new.png")}
    assert "Nothing to be done" in workflow.snakemake("score").stdout


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"runs": {}}, "score.runs: must name pictures to score, found nothing"),
        (
            {"runs": {"mine": {"paths": ["nowhere"]}}},
            "score.runs.mine.paths must exist, found nowhere; correct the path",
        ),
        (
            {"runs": {"train": {"paths": ["."]}}},
            "score.runs must have other names than train",
        ),
        (
            {"runs": {"mine": {"paths": ["."], "checkpoint": "nowhere"}}},
            "score.runs.mine.checkpoint: nowhere: no checkpoint (card.json) here",
        ),
        (
            {"runs": {"mine": {"paths": ["."]}}, "sam_checkpoint": "nowhere.pth"},
            "score.sam_checkpoint: must be a file, found none at nowhere.pth",
        ),
    ],
)
def test_a_run_that_cannot_be_scored_is_one_line_before_the_first_job(tmp_path, section, message):
    workflow = Workflow(tmp_path, score=section)
    found = workflow.snakemake("score")
    assert found.returncode != 0
    assert [line for line in found.stdout.splitlines() if message in line]
    assert "Traceback (most recent" not in found.stdout
    assert not workflow.results.exists()


def test_a_list_that_cannot_be_read_any_more_stops_the_plan(tmp_path):
    """What was made before does not hide it."""
    pictures, run = tmp_path / "list.csv", tmp_path / "run"
    Image.new("RGB", (64, 48)).save(tmp_path / "0.png")
    pictures.write_text("path\n0.png\n")
    workflow = Workflow(run, score={"runs": {"mine": {"paths": [str(pictures)]}}})
    stage.run(workflow.results / "mine", [str(pictures)], shard_size=PER_SHARD)
    assert workflow.planned("score") == {"score_shard": 1, "score_rank": 1, "score": 1}
    summary = workflow.results / "mine/score/summary.json"
    summary.parent.mkdir()
    summary.touch()
    pictures.write_text("file\n0.png\n")
    found = workflow.snakemake("score", "--dry-run")
    assert found.returncode != 0, found.stdout
    assert "list.csv: a list of pictures must have a column called path, found file" in found.stdout


def test_a_checkpoint_of_other_options_is_one_line_before_the_first_job(tmp_path):
    card = json.loads((PACKAGED / "card.json").read_text("utf-8"))
    sam = {**card["segment"], "backend": "sam", "sha256": "0" * 64}
    old = {**card["segment"], "version": 1}
    for name, changed, message in (
        ("sam", sam, "score.sam_checkpoint: must be given where regions come from SAM"),
        ("old", old, "must be trained on products of segment 2, found 1"),
    ):
        checkpoint = with_card(PACKAGED, tmp_path / name, segment=changed)
        run = {"paths": ["."], "checkpoint": str(checkpoint)}
        workflow = Workflow(tmp_path / f"run-{name}", score={"runs": {"mine": run}})
        found = workflow.snakemake("score")
        assert found.returncode != 0
        assert message in found.stdout
        assert not workflow.results.exists()


def test_another_checkpoint_scores_everything_again(scored, photos, tmp_path):
    workflow = scored.copy(tmp_path / "copy")
    checkpoint = with_card(PACKAGED, tmp_path / "other", datasets=["other"])
    runs = {"mine": {"paths": [str(photos / "*.png")], "checkpoint": str(checkpoint)}}
    workflow.change(score={"runs": runs, "relist": False})
    found = workflow.snakemake("score", "--dry-run")
    assert found.returncode == 0, found.stdout
    assert found.stdout.count("; made again") == 3
    assert "00000.parquet: checkpoint was livec" in found.stdout
