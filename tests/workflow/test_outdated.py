"""What runs again after a change, by the record of Snakemake and by that of the products."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rsfiqa import captioners, cli
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.checkpoints import PACKAGED
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.encoders.files import weight_hashes
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import read_json, write_json
from rsfiqa.products.card import read_card, write_card
from rsfiqa.products.lineage import LINEAGE
from rsfiqa.products.paths import stats_path
from rsfiqa.products.versions import VERSIONS
from rsfiqa.segment import stage as segment
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.train.options import TrainOptions
from rsfiqa.workflow import configuration
from rsfiqa.workflow.outdated import Outdated, weights_files
from tests.support.workflow import ROOT, Workflow

SHARDED = dict.fromkeys(("segment", "caption", "embed", "extract"), 2)
DOWNSTREAM = {"train_batch": 2, "benchmark": 1, "report": 1, "all": 1}
EVERYTHING = {"prepare": 1, **SHARDED, **DOWNSTREAM}
REPORT = {"report": 1, "all": 1}
CSV = {"layout": "csv", "mos_range": [1, 5]}


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file below a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.mark.slow
def test_results_that_are_copied_elsewhere_are_complete(finished, tmp_path):
    copy = finished.copy(tmp_path / "copy", record=False)
    before = files(copy.results)
    assert copy.planned() == {}
    assert files(copy.results) == before


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"seed": 1}, DOWNSTREAM),
        ({"train": {"epochs": 3}}, DOWNSTREAM),
        ({"benchmark": {"test_fraction": 0.3}}, DOWNSTREAM),
        ({"benchmark": {"splits": 3}}, DOWNSTREAM),
        ({"benchmark": {"variants": ["full"]}}, REPORT),
        ({"benchmark": {"baselines": []}}, REPORT),
        ({"report": {"images": 2}}, REPORT),
        ({"extract": {"grid": 4}}, {"extract": 2, **DOWNSTREAM}),
        ({"extract": {"backbone": "tf_efficientnet_lite1"}}, {"extract": 2, **DOWNSTREAM}),
        ({"caption": {"long_side": 512}}, {"caption": 2, "embed": 2, **DOWNSTREAM}),
        ({"embed": {"precision": "bf16"}}, {"embed": 2, **DOWNSTREAM}),
        (
            {"segment": {"max_regions": 5}},
            {"segment": 2, "caption": 2, "embed": 2, **DOWNSTREAM},
        ),
        ({"shard_size": 24}, EVERYTHING | dict.fromkeys(SHARDED, 1)),
        ({"shard_size": 8}, EVERYTHING | dict.fromkeys(SHARDED, 3)),
    ],
)
def test_a_change_is_noticed_without_the_record_of_snakemake(finished, tmp_path, changes, expected):
    copy = finished.copy(tmp_path / "copy", record=False)
    copy.change(**changes)
    assert copy.planned() == expected


def test_what_differs_is_said(finished, tmp_path):
    copy = finished.copy(tmp_path / "copy", record=False)
    copy.change(seed=1, extract={"grid": 4})
    shown = copy.snakemake("--dry-run").stdout
    product = "results/tiny/extract/00000.safetensors"
    assert f"{product}: grid was 8, is 4; made again" in shown
    card = "results/train/tiny.full/split-01/card.json"
    assert f"{card}: seed was 0, is 1; made again" in shown
    kept = copy.snakemake("--dry-run", "--rerun-triggers", "mtime").stdout
    assert f"{product}: grid was 8, is 4; kept (--rerun-triggers)" in kept
    assert "Nothing to be done" in kept


def test_what_changes_speed_only_makes_nothing_again(finished, tmp_path):
    copy = finished.copy(tmp_path / "copy")
    root = finished.folder / "pictures/scores.csv"
    copy.change(
        max_failed_fraction=0.5,
        gpus={"train": 0, "embed": 0},
        segment={"workers": 0, "device": "cpu", "points_per_batch": 8, "images_per_batch": 1},
        caption={"concurrency": 2, "retry_timeout": 3.0, "server": {"max_restarts": 0}},
        embed={"batch_size": 3, "device": "cpu"},
        extract={"device": "cpu"},
        train={"min_images": 5, "finetune": {"threads": 2, "workers": 1, "device": "cpu"}},
        datasets={"tiny": CSV | {"root": os.path.relpath(root, copy.folder)}},
    )
    assert copy.planned() == {}
    plan = copy.snakemake("--dry-run", "--forcerun", "embed", "--printshellcmds").stdout
    assert "--batch-size=3 --device=cpu" in plan


def test_results_of_other_checkpoints_are_noticed(finished, tmp_path):
    """As where a backup is restored without its results, which are newer."""
    copy = finished.copy(tmp_path / "copy")
    path = stats_path(copy.results / "benchmark/tiny.tiny.full.parquet")
    stats = read_json(path)
    cards = copy.results / "train/tiny.full"
    weights = {name: read_card(cards / name)[1] for name in ("split-00", "split-01")}
    assert stats["weights_sha256"] == weights
    write_json(path, stats | {"weights_sha256": weights | {"split-01": "0" * 64}})
    assert copy.planned() == {"benchmark": 1, "report": 1, "all": 1}
    shown = copy.snakemake("--dry-run").stdout
    assert "tiny.tiny.full.parquet: the checkpoint of split-01 is another one" in shown


def test_a_root_may_be_spelt_in_another_way(finished, tmp_path, monkeypatch):
    copy = finished.copy(tmp_path / "copy")
    monkeypatch.setenv("HOME", str(finished.folder))
    for spelling in ("~/pictures/scores.csv", f"{finished.folder}/./pictures//scores.csv"):
        copy.change(datasets={"tiny": CSV | {"root": spelling}})
        assert copy.planned() == {}


def test_weights_are_compared_by_content(finished, tmp_path):
    from rsfiqa.backbones.weights import weights_path

    copy = finished.copy(tmp_path / "copy", record=False)
    weights = tmp_path / "weights.pth"
    shutil.copy(weights_path("tf_efficientnet_lite0", "packaged"), weights)
    copy.change(extract={"weights": str(weights)})
    assert copy.planned() == {}  # the same weights in another place
    with weights.open("ab") as file:
        file.write(b"\0")
    assert copy.planned() == {"extract": 2, **DOWNSTREAM}


def test_all_weight_files_of_an_encoder_are_compared(tmp_path):
    """Also those of one name in different folders."""
    for name in ("model.safetensors", "2_Dense/model.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "config.json").write_text("{}")
    compared = weights_files("embed", {"encoder": str(tmp_path)})
    assert sorted(map(sha256_of, compared)) == sorted(weight_hashes(str(tmp_path)).values())


def test_a_stage_run_by_hand_with_other_options_is_noticed(finished, tmp_path, capsys):
    copy = finished.copy(tmp_path / "copy")
    folder = copy.results / "tiny"
    segment.run(folder, SegmentOptions(max_regions=3), max_failed_fraction=0.0)
    following = {"segment": 2, "caption": 2, "embed": 2, **DOWNSTREAM}
    assert copy.planned() == following
    product = folder / "segment/00000.h5"
    before = product.read_bytes()
    assert cli.main(["segment", str(folder)]) == cli.INPUT_ERROR
    assert (
        f"{product}: --max-regions must be 3, with which it was made, found 12; set it to that, or"
        " give --replace to make it again\n" in capsys.readouterr().err
    )
    assert product.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "difference"), [({}, ""), ({"max_regions": 3}, "segment max_regions was 3, is 12")]
)
def test_a_training_on_products_of_other_options_is_noticed(tmp_path, changes, difference):
    """Those at hand may fit the configuration and be older, as from a backup."""
    config = configuration.read(ROOT / "config.yaml")
    extracted = ExtractOptions(**config["extract"]).recorded()
    made = {
        "backbone": {name: extracted[name] for name in extracted if name != "augmented_views"},
        "encoder": EmbedOptions(**config["embed"]).recorded(),
        "segment": SegmentOptions(**config["segment"]).recorded() | changes,
        "caption": captioners.recorded(CaptionOptions(**config["caption"])),
    }
    lineage = {part: {"version": VERSIONS[LINEAGE[part]], **made[part]} for part in LINEAGE}
    card, digest = read_card(PACKAGED)
    trained = replace(
        card,
        datasets=["demo"],
        options={"version": VERSIONS["train"], **TrainOptions(**config["train"]).recorded()},
        split={**card.split, "name": "split-00", "seed": 0, "test_fraction": 0.2},
        **lineage,
    )
    write_card(tmp_path, trained, weights_sha256=digest)
    assert Outdated(config).checkpoint(tmp_path, "split-00") == difference


@pytest.fixture
def prepared(workflow):
    """A workflow of which the manifest has been made."""
    run = workflow.snakemake("--until", "prepare")
    assert run.returncode == 0, run.stdout
    return workflow


@pytest.mark.slow
def test_a_changed_data_set_is_noticed(prepared):
    until = ("--until", "segment")
    table = prepared.folder / "pictures/scores.csv"
    text = table.read_text("utf-8")
    assert prepared.planned(*until) == {"segment": 2}
    table.write_text(text.replace("03.png,4.50", "03.png,4.40"), "utf-8")  # a MOS
    assert prepared.planned(*until) == {"prepare": 1, "segment": 2}
    table.write_text(text.rpartition("\n")[0], "utf-8")  # an image less
    assert prepared.planned(*until) == {"prepare": 1, "segment": 2}
    shutil.copy(table.parent / "00.png", table.parent / "24.png")
    table.write_text(f"{text}\n24.png,1,g0", "utf-8")  # one more, in a further shard
    assert prepared.planned(*until) == {"prepare": 1, "segment": 3}
    assert prepared.planned(*until, "--forcerun", "prepare") == {"prepare": 1, "segment": 3}
    table.write_text(text, "utf-8")
    assert prepared.planned(*until) == {"segment": 2}
    shutil.copy(table.parent / "01.png", table.parent / "00.png")  # other bytes
    assert prepared.planned(*until) == {"prepare": 1, "segment": 2}
    shown = prepared.snakemake(*until, "--dry-run").stdout
    assert "manifest.parquet: the images or scores of the data set have changed; made" in shown


def test_a_damaged_table_stops_the_plan_in_one_line(prepared):
    table = prepared.folder / "pictures/scores.csv"
    table.write_text("path,mos\n00.png,good", "utf-8")
    found = prepared.snakemake("--dry-run")
    assert found.returncode != 0
    assert "scores.csv line 2: 'mos' must be a number, found 'good'" in found.stdout
    assert "Traceback" not in found.stdout


def test_an_option_that_cannot_be_compared_stops_the_plan(workflow):
    """Where an error keeps Snakemake from planning a page that exists, it counts as up to date."""
    page = workflow.results / "report/index.html"
    page.parent.mkdir(parents=True)
    page.touch()
    workflow.change(extract={"backbone": "mobilenetv2_100"})
    found = workflow.snakemake("--dry-run")
    assert found.returncode != 0, found.stdout
    message = "extract.weights: packaged weights belong to tf_efficientnet_lite0, "
    assert [line for line in found.stdout.splitlines() if line.startswith(message)]
    assert "Traceback" not in found.stdout


def test_two_results_folders_have_logs_of_their_own(workflow):
    workflow.change(results="other")
    plan = workflow.snakemake("--dry-run", "--printshellcmds").stdout
    assert "> other/logs/prepare/tiny.log" in plan
    assert " > logs/" not in plan


def test_the_report_gets_the_tables_of_this_run(finished, tmp_path):
    copy = finished.copy(tmp_path / "copy")
    copy.change(seed=1, benchmark={"variants": ["full"], "baselines": []})
    plan = copy.snakemake("--dry-run", "--printshellcmds").stdout
    assert "report results --images=3 --table=tiny.tiny.full >" in plan


def test_teaching_notices_changed_options(tmp_path):
    """Its examples are described by data.json, its model by teach.json."""
    workflow = Workflow(tmp_path / "run", teach={"datasets": ["tiny"]})
    teach = workflow.results / "teach"
    teach.mkdir(parents=True)
    (teach / "data.json").write_text('{"version": 0, "options": {}}')
    shown = workflow.snakemake("results/teach/train.jsonl", "--dry-run").stdout
    assert "results/teach/data.json: version of teach was 0, is " in shown
    (teach / "tests").mkdir()
    (teach / "tests/rule_based.test.json").write_text("{}")
    shown = workflow.snakemake("results/teach/tests/rule_based.test.json", "--dry-run").stdout
    assert "results/teach/tests/rule_based.test.json: it does not record how it was made" in shown
