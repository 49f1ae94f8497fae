"""The captioner in NumPy against the one in torch."""

import numpy as np
import pytest
import torch

from rsfiqa.backbones.weights import PERCEPTION_FILE
from rsfiqa.captioners.classifier import arrays, network
from rsfiqa.captioners.classifier.weights import packaged
from rsfiqa.captioners.rule_based.statistics import ImagePlanes, region_statistics
from rsfiqa.errors import InputError

LABELS = np.repeat(np.arange(3, dtype=np.uint16)[:, None], 50, 1).repeat(20, 0)  # (60, 50)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*LABELS.shape, 3)).astype(np.uint8)


def test_what_is_perceived_is_that_of_torch(image):
    maps = packaged().backbone.image_maps(image)
    expected = packaged().perceive(image, LABELS, maps=maps)
    found = arrays.read(PERCEPTION_FILE)
    values = [each[0].numpy() for each in maps]
    squares = [np.square(each) for each in values]
    statistics = region_statistics(image, LABELS)
    planes = ImagePlanes(image, LABELS)
    features = arrays.region_features(values, squares, planes, statistics)
    reference = network.region_features(maps, image, LABELS, statistics)
    np.testing.assert_allclose(features, reference.numpy(), rtol=1e-3, atol=1e-5)
    perceived = found.perceive(features)
    assert perceived.families == expected.families
    for name in ("probability", "severity", "cost", "unexplained", "quality"):
        own, torchs = getattr(perceived, name), getattr(expected, name)
        np.testing.assert_allclose(own, torchs, rtol=0, atol=1e-4, err_msg=name)


def test_captions_are_those_of_torch(image):
    maps = packaged().backbone.image_maps(image)
    with torch.inference_mode():
        statistics = region_statistics(image, LABELS)
        perceived = packaged().perceive(image, LABELS, maps=maps, statistics=statistics)
    expected = arrays.rows_of(LABELS, statistics, perceived)
    values = [each[0].numpy() for each in maps]
    squares = [np.square(each) for each in values]
    found = arrays.read(PERCEPTION_FILE).caption(image, LABELS, values, squares)
    assert [row.text for row in found] == [row.text for row in expected]
    assert [row.distortions for row in found] == [row.distortions for row in expected]


def test_another_file_is_refused(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"a.safetensors: must be the weights of a perception"):
        arrays.read(tmp_path / "a.safetensors")
