"""A data set's name, score scale and rounding, with and without a manifest."""

import pytest

from rsfiqa.products import manifest
from rsfiqa.report.dataset import DataSet, read_dataset
from rsfiqa.scale import MosScale


@pytest.mark.parametrize(
    ("scale", "digits"),
    [(None, 3), (MosScale(1, 5), 3), (MosScale(0, 100), 1), (MosScale(0, 999), 0)],
)
def test_at_least_500_steps_of_the_range_are_shown(scale, digits):
    assert DataSet("a", mos_scale=scale).digits == digits


@pytest.mark.parametrize(
    ("scale", "pseudo", "name"),
    [
        (None, "", "quality"),
        (None, "SSIM", "pseudo-quality"),
        (MosScale(1, 5), "", "MOS"),
        (MosScale(1, 5), "SSIM", "pseudo-MOS"),
    ],
)
def test_scores_are_called_what_they_are(scale, pseudo, name):
    dataset = DataSet("a", mos_scale=scale, pseudo=pseudo)
    assert dataset.score_name == name
    assert dataset.title == ("a (pseudo-MOS)" if pseudo else "a")


def test_a_manifest_gives_size_and_scale(tmp_path, make_manifest, provenance):
    path = make_manifest(tmp_path / "a", ["x", "y"]) / "manifest.parquet"
    assert read_dataset(tmp_path, "a") == DataSet("a", 2, MosScale(1, 5))
    table, _ = manifest.read(path)
    options = {"mos_range": [0, 100], "lower_better": True, "shards": 1}
    manifest.write(path, table, provenance("manifest", manifest.VERSION, options=options))
    assert read_dataset(tmp_path, "a").mos_scale == MosScale(0, 100, lower_better=True)


def test_only_the_name_is_known_without_a_manifest(tmp_path):
    assert read_dataset(tmp_path, "livec") == DataSet("livec")
    assert read_dataset(tmp_path, "demo") == DataSet("demo", pseudo="pseudo-MOS")
