"""The caption stage on the images of a folder that changes."""

import numpy as np
import pytest
from PIL import Image

from rsfiqa import cli
from rsfiqa.products import captions
from rsfiqa.products.paths import product_path


@pytest.fixture
def pictures(tmp_path):
    """A folder of three pictures."""
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        draw(tmp_path / "pictures" / name, seed=ord(name[0]))
    return tmp_path / "pictures"


def draw(path, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC).save(path)


def rsfiqa(*words):
    """The exit status of a command."""
    return cli.main([str(word) for word in words])


@pytest.mark.parametrize("change", ["removed", "replaced", "added"])
def test_regions_of_other_pictures_are_not_captioned(pictures, tmp_path, capsys, change):
    out = tmp_path / "out"
    prepare = ("prepare", out, "--layout", "folder", "--root", pictures)
    caption = ("caption", out, "--backend", "rule_based")
    assert [rsfiqa(*prepare), rsfiqa("segment", out)] == [0, 0]
    if change == "removed":
        (pictures / "b.png").unlink()
    else:
        draw(pictures / {"replaced": "b.png", "added": "d.png"}[change], seed=9)
    assert rsfiqa(*prepare) == 0
    capsys.readouterr()
    assert rsfiqa(*caption) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "segment/00000.h5: made from another manifest file" in error
    assert error.endswith("run the segment stage again")
    assert [rsfiqa("segment", out), rsfiqa(*caption)] == [0, 0]
    table, _ = captions.read(product_path(out, "caption", "00000"))
    listed = {path.name for path in pictures.iterdir()}
    assert set(table["image_id"].to_pylist()) == listed
