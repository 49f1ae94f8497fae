"""The recipe of the packaged checkpoint: its data, its card and its size."""

import json
from pathlib import Path

import pytest

from recipes.packaged_checkpoint import card_metrics, limited_release, pack
from rsfiqa.datasets import biq2021
from tests.support.pipeline import made


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """BIQ2021 with 10 training and 2 test images, without the pictures themselves."""
    folder = tmp_path / "BIQ2021"
    (folder / "Images").mkdir(parents=True)
    for name, lines in (("Train", range(10)), ("Test", range(10, 12))):
        rows = [f"ss01 ({i}).jpg,0.{i},," for i in lines]
        text = "\r\n".join(["Image Name,MOS", *rows]) + "\r\n"
        (folder / f"{name} (Images and MOS).csv").write_text(text, "utf-8")
        for i in lines:
            (folder / "Images" / f"ss01 ({i}).jpg").touch()
    return folder


def test_a_limited_release_takes_the_same_share_of_both_tables(release, tmp_path):
    target = limited_release(release, tmp_path / "less", 6)
    entries = biq2021.read(target)
    assert [entry.subset for entry in entries] == ["train"] * 5 + ["test"]
    assert all(entry.path.is_file() for entry in entries)
    whole = {entry.image_id: entry.mos for entry in biq2021.read(release)}
    assert all(whole[entry.image_id] == entry.mos for entry in entries)
    again = limited_release(release, tmp_path / "again", 6)
    assert [one.image_id for one in biq2021.read(again)] == [one.image_id for one in entries]
    assert limited_release(release, tmp_path / "less", 12) == target
    assert len(biq2021.read(target)) == 12


def test_the_card_states_held_out_metrics_and_those_of_the_bench(tmp_path):
    own = {"splits": 3, "held_out_livec_srcc": 0.86, "held_out_livec_srcc_low": 0.85, "commit": "a"}
    (tmp_path / "bench-packaged.json").write_text(json.dumps(own))
    expected = {"splits": 3, "held_out_livec_srcc": 0.86}
    assert card_metrics(tmp_path) == expected
    bench = {"biq2021_srcc": 0.7, "mmp2k_score_srcc": 0.72, "mmp2k_factor_auc": 0.8, "n": 9}
    (tmp_path / "bench-perception.json").write_text(json.dumps(bench))
    assert card_metrics(tmp_path) == expected | {"biq2021_srcc": 0.7, "mmp2k_score_srcc": 0.72}


def test_a_card_needs_held_out_metrics(tmp_path):
    message = r"bench-packaged.json: must hold the metrics on held-out images, found nothing of it;"
    with pytest.raises(SystemExit, match=message):
        card_metrics(tmp_path)


def test_a_package_that_becomes_too_large_keeps_its_checkpoint(tmp_path, tmp_path_factory):
    source = made(tmp_path_factory) / "train/tiny.full/split-00"
    target, staging = tmp_path / "packaged", tmp_path / "staging"
    pack(source, target, {"srcc": 0.8}, staging)
    before = (target / "card.json").read_bytes()
    (target / "perception.safetensors").write_bytes(bytes(17_000_000))
    with pytest.raises(SystemExit, match=r"packaged: must take 16 MB at most, found 17\.\d; train"):
        pack(source, target, {"srcc": 0.9}, staging)
    assert (target / "card.json").read_bytes() == before
