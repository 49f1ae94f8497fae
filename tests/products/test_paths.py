"""The rules of the workflow must write what the stages do: both name the paths."""

import re
from pathlib import Path

import pytest

from rsfiqa.products import paths

RULES = Path(__file__).resolve().parents[2] / "workflow/rules"
ROOT = Path("{RESULTS}")
FOLDER = ROOT / "{dataset}"
MANIFEST = paths.manifest_path(FOLDER)
CHECKPOINT = paths.checkpoint_folder(ROOT, "{dataset}", "{variant}", "{split}")
RESULTS = paths.results_path(ROOT, "{train}", "{test}", "{variant}")


def beside(product: Path) -> set[Path]:
    return {product, paths.failures_path(product), paths.stats_path(product)}


OUTPUTS = {
    "prepare": beside(MANIFEST),
    **{stage: beside(paths.product_path(FOLDER, stage, "{shard}")) for stage in paths.SUFFIX},
    "train": {
        paths.card_path(CHECKPOINT),
        paths.weights_path(CHECKPOINT),
        paths.split_path(CHECKPOINT),
        paths.checkpoint_stats_path(CHECKPOINT),
    },
    "report": {paths.report_path(ROOT), paths.headline_path(ROOT)},
}


@pytest.mark.parametrize("rule", OUTPUTS)
def test_a_rule_writes_the_paths_of_its_stage(rule):
    text = (RULES / f"{rule}.smk").read_text("utf-8")
    (block,) = re.findall(rf"^rule {rule}:.*?^    output:\n(.*?)^    \w+:", text, re.M | re.S)
    patterns = re.findall(r'f"([^"]+)"', block)
    written = {Path(pattern.replace("{{", "{").replace("}}", "}")) for pattern in patterns}
    assert written == OUTPUTS[rule]


def test_the_scoring_rules_write_the_paths_of_a_run():
    run = ROOT / "{run}"
    table = paths.scores_folder(run) / "{shard}.parquet"
    text = (RULES / "score.smk").read_text("utf-8")
    blocks = re.findall(r"^    output:\n(.*?)^    \w+:", text, re.M | re.S)
    found = [re.findall(r'f"([^"]+)"', block) for block in blocks]
    written = [
        {Path(pattern.replace("{{", "{").replace("}}", "}")) for pattern in patterns}
        for patterns in found
    ]
    assert written == [
        {paths.plan_path(run)},
        beside(table) | {table.with_suffix(".regions.parquet")},
        {paths.summary_path(paths.scores_folder(run))},
    ]
    (listed,) = re.findall(r'pictures=f"([^"]+)"', text)
    pattern = listed.replace("{{", "{").replace("}}", "}")
    assert Path(pattern) == paths.picture_list_path(run, "{shard}")


def test_the_benchmark_rule_writes_the_paths_of_its_stage():
    """Its outputs are listed by a function, one for each method."""
    common = (RULES / "common.smk").read_text("utf-8")
    (pattern,) = re.findall(r'def tables\(.*?f"([^"]+)"', common, re.S)
    path = pattern.replace("{{", "{").replace("}}", "}").replace("{method}", "{variant}")
    assert path == "{RESULTS}/benchmark/{train}.{test}.{variant}{suffix}"
    text = (RULES / "benchmark.smk").read_text("utf-8")
    for methods, test in (("METHODS", ', test="{train}"'), ("CROSS_METHODS", "")):
        suffixes = re.findall(rf'=tables\({methods}(?:, "([^"]+)")?{test}\)', text)
        written = {Path(path.replace("{suffix}", suffix or ".parquet")) for suffix in suffixes}
        assert written == {RESULTS, paths.predictions_path(RESULTS), paths.stats_path(RESULTS)}


def test_names_of_shards():
    assert paths.shard_name(12) == "00012"
    assert paths.shard_names(3) == ["00000", "00001", "00002"]


def test_a_data_set_is_named_after_its_folder(monkeypatch, tmp_path):
    (tmp_path / "livec").mkdir()
    monkeypatch.chdir(tmp_path / "livec")
    assert paths.dataset_name(Path()) == "livec"
    assert paths.images_folder(Path()) == tmp_path / "livec/images"


def test_tables_of_results_are_told_from_what_lies_beside_them(tmp_path):
    tables = [paths.results_path(tmp_path, "a", test, "full") for test in ("a", "b")]
    tables[0].parent.mkdir()
    for path in tables:
        for file in (path, paths.predictions_path(path), paths.failures_path(path)):
            file.touch()
    assert paths.all_results(tmp_path) == tables


def test_checkpoints_are_found_by_their_cards(tmp_path):
    folders = [
        paths.checkpoint_folder(tmp_path, "a", "full", f"split-0{number}") for number in range(3)
    ]
    for folder in folders:
        folder.mkdir(parents=True)
    for folder in folders[:2]:
        paths.card_path(folder).touch()
    assert paths.checkpoints_in(paths.train_folder(tmp_path)) == folders[:2]
