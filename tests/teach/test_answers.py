import json

import numpy as np
import skimage
from PIL import Image

from rsfiqa import captioners
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.teach import answers
from rsfiqa.teach.examples import Example


def test_a_region_that_a_reduced_label_map_has_lost(tmp_path):
    Image.fromarray(skimage.data.coffee()[:64, :64]).save(tmp_path / "whole.png")
    labels = np.zeros((256, 256), np.uint16)
    labels[:, 128:] = 2
    Image.fromarray(labels).save(tmp_path / "without.png")
    labels[1, 1] = 1  # lost in 64 pixels
    Image.fromarray(labels).save(tmp_path / "with.png")
    tests = [
        Example("a", "a", "local", 2, (), f"{name}.png", ("whole.png",), ())
        for name in ("with", "without")
    ]
    with captioners.load(CaptionOptions(), log=tmp_path / "log") as captioner:
        with_it, without_it = answers.from_captioner(captioner, tmp_path, tests)
    assert with_it == without_it
    assert "right" in json.loads(with_it)["content"]
