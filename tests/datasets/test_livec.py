import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from rsfiqa.datasets import livec
from rsfiqa.errors import InputError
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import manifest
from rsfiqa.scale import MosScale

NAMES = [f"t{i}.bmp" for i in range(1, 8)] + ["100.bmp", "101.JPG", "99.bmp"]
MOS = [50.0] * 7 + [63.9, 3.42, 92.4]
DEVIATIONS = [15.0] * 7 + [18.4, 13.7, 18.9]


def release(root: Path, names=NAMES, mos=MOS, deviations=DEVIATIONS) -> Path:
    """A tiny ChallengeDB_release: cells, two rows of doubles, the training images apart."""
    root = root / "ChallengeDB_release"
    (root / "Data").mkdir(parents=True)
    (root / "Images/trainingImages").mkdir(parents=True)
    cells = np.empty((len(names), 1), object)
    cells[:, 0] = names
    content = {
        "AllImages_release": cells,
        "AllMOS_release": np.array([mos]),
        "AllStdDev_release": np.array([deviations]),
    }
    for name, value in content.items():
        scipy.io.savemat(root / f"Data/{name}.mat", {name: value})
    for shade, name in enumerate(names):
        folder = root / "Images/trainingImages" if name.startswith("t") else root / "Images"
        Image.new("RGB", (12, 8), (shade, 0, 0)).save(folder / name)
    return root


def test_it_leaves_out_the_training_session(tmp_path):
    entries = livec.read(release(tmp_path))
    assert [entry.image_id for entry in entries] == ["100.bmp", "101.JPG", "99.bmp"]
    assert [entry.mos for entry in entries] == [63.9, 3.42, 92.4]
    assert [entry.mos_std for entry in entries] == [18.4, 13.7, 18.9]
    assert all(entry.group == entry.image_id and entry.path.is_file() for entry in entries)


def test_it_takes_the_folder_that_holds_the_release(tmp_path):
    root = release(tmp_path)
    assert livec.read(root) == livec.read(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    (release(tmp_path) / "Data/AllMOS_release.mat").unlink()
    with pytest.raises(InputError, match=r"AllMOS_release.mat: no such file; set root to the fold"):
        livec.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not MATLAB" * 20])
def test_a_damaged_file_is_named(tmp_path, content):
    (release(tmp_path) / "Data/AllMOS_release.mat").write_bytes(content)
    with pytest.raises(InputError, match=r"must be a MATLAB file with AllMOS_release, found: .*"):
        livec.read(tmp_path)


def test_another_variable_is_refused(tmp_path):
    root = release(tmp_path)
    scipy.io.savemat(root / "Data/AllMOS_release.mat", {"other": 1})
    with pytest.raises(InputError, match=r"must be a MATLAB file with AllMOS_release"):
        livec.read(tmp_path)


def test_lengths_must_agree(tmp_path):
    release(tmp_path, mos=MOS[:-1])
    with pytest.raises(InputError, match=r"must be as many, found 10, 9 and 10"):
        livec.read(tmp_path)


def test_a_score_outside_0_to_100_is_refused(tmp_path):
    root = release(tmp_path, mos=[*MOS[:-1], 101.0])
    options = PrepareOptions(layout="livec", root=str(root))
    message = r"AllMOS_release.mat 99.bmp: MOS must lie in \[0, 100\], found 101"
    with pytest.raises(InputError, match=message):
        prepare.run(tmp_path / "out", options, shard_size=10, max_failed_fraction=0, seed=0)


def test_the_same_bytes_join_two_groups(tmp_path):
    root = release(tmp_path)
    (root / "Images/99.bmp").write_bytes((root / "Images/100.bmp").read_bytes())
    options = PrepareOptions(layout="livec", root=str(root))
    prepare.run(tmp_path / "out", options, shard_size=10, max_failed_fraction=0, seed=0)
    table, _ = manifest.read(tmp_path / "out/manifest.parquet")
    assert table["image_id"].to_pylist() == ["100.bmp", "101.JPG", "99.bmp"]
    assert table["group"].to_pylist() == ["100.bmp", "101.JPG", "100.bmp"]


def test_the_published_set(tmp_path):
    root = Path(os.environ.get("RSFIQA_DATA", "-"), "ChallengeDB_release")
    if not root.is_dir():
        pytest.skip("RSFIQA_DATA names no folder with ChallengeDB_release")
    options = PrepareOptions(layout="livec", root=str(root))
    prepare.run(tmp_path, options, shard_size=1000, max_failed_fraction=0, seed=0)
    table, provenance = manifest.read(tmp_path / "manifest.parquet")
    mos = table["mos"].to_numpy()
    assert len(table) == 1162  # README.txt of the release
    assert (mos.min(), mos.max()) == pytest.approx((3.42, 92.432), abs=1e-3)
    assert len(table["group"].unique()) == 1161  # 246.bmp and 333.bmp are the same bytes
    assert manifest.scale_of(provenance) == MosScale(0, 100)
