"""The perception's region features, its head and its file, by hand-computed numbers."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import adaptive_avg_pool2d

from rsfiqa.backbones.loading import load_backbone
from rsfiqa.backbones.weights import PERCEPTION_FILE
from rsfiqa.captioners.classifier.features import FEATURES, pixel_features
from rsfiqa.captioners.classifier.network import (
    Perception,
    PerceptionHead,
    map_features,
    pooled_masks,
    region_features,
)
from rsfiqa.captioners.classifier.weights import packaged, read, write
from rsfiqa.errors import InputError
from rsfiqa.vocabulary import REALISTIC_FAMILIES


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    found = np.zeros((96, 128), np.uint16)
    found[:, 64:], found[60:, 100:] = 1, 2
    return found


def test_features_of_regions_by_hand():
    maps = [torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]]), torch.tensor([[[[10.0]]]])]
    masks = torch.zeros(1, 2, 4, 4)
    masks[0, 0, :2] = 1  # the upper half: cells 1 and 3
    masks[0, 1, 2:, 2:] = 1  # the lower right quarter: cell 7
    found = map_features(maps, masks)
    assert found.shape == (1, 2, 4)
    np.testing.assert_allclose(found[0], [[2, 1, 10, 1e-4], [7, 1e-4, 10, 1e-4]], rtol=1e-5)


def test_a_pixel_of_a_coarse_cell_counts_by_its_share():
    maps = [torch.tensor([[[[0.0, 8.0]]]])]
    masks = torch.zeros(1, 1, 1, 4)
    masks[..., :3] = 1  # all of the left cell, half of the right one
    assert map_features(maps, masks)[0, 0, 0] == pytest.approx(8 / 3)


@pytest.mark.parametrize("shape", [(96, 128), (97, 131), (5, 3), (1, 7)])
def test_pooled_masks_are_those_of_torch(shape):
    labels = np.random.default_rng(0).integers(0, 3, shape).astype(np.uint16)
    labels.flat[-1] = 2
    masks = torch.from_numpy(labels == np.arange(3)[:, None, None]).float()
    cells = shape
    for _ in range(5):
        cells = (-(-cells[0] // 2), -(-cells[1] // 2))
        expected = adaptive_avg_pool2d(masks, cells).flatten(1)
        np.testing.assert_allclose(pooled_masks(labels, cells), expected, rtol=1e-6)


def test_a_region_is_described_beside_its_image():
    """Maps of one channel, pixels of one color each half: every number by hand."""
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 4:] = 255
    labels = np.zeros((4, 8), np.uint16)
    labels[:, 4:] = 1
    maps = [torch.tensor([[[[2.0, 6.0]]]])]
    found = region_features(maps, pixels, labels)
    own, image = found.chunk(2, dim=1)
    count = len(FEATURES)
    np.testing.assert_allclose(own[:, :2], [[2, 1e-4], [6, 1e-4]], rtol=1e-5)
    np.testing.assert_allclose(own[:, 2:], pixel_features(pixels, labels), rtol=1e-5)
    np.testing.assert_allclose(image[:, :2], [[4, 2], [4, 2]], rtol=1e-5)
    lightness = 2 + FEATURES.index("lightness")
    np.testing.assert_allclose(own[:, lightness], [0, 100], atol=1e-4)
    np.testing.assert_allclose(image[:, lightness], [50, 50], atol=1e-4)
    assert found.shape == (2, 2 * (2 + count))


def test_the_head_takes_what_regions_give(image, labels):
    perception = packaged()
    maps = perception.backbone.image_maps(image)
    found = region_features(maps, image, labels)
    assert found.shape == (3, len(perception.head.mean))


def test_reasons_add_up_to_quality(image, labels):
    perception = packaged()
    found = perception.perceive(image, labels)
    std = float(perception.head.scale[1])
    base = float(perception.head.scale[0] + std * perception.head.base)
    np.testing.assert_allclose(
        found.quality, base - found.cost.sum(1) - found.unexplained, atol=1e-5
    )
    assert (found.cost >= 0).all()
    assert (found.unexplained >= 0).all()
    assert found.families == tuple(REALISTIC_FAMILIES)
    assert found.probability.shape == found.severity.shape == (3, len(REALISTIC_FAMILIES))


def test_the_order_of_regions_does_not_matter(image, labels):
    order = np.array([2, 0, 1], np.uint16)
    first, second = (packaged().perceive(image, each) for each in (labels, order[labels]))
    np.testing.assert_allclose(second.quality[order], first.quality, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 5)])
def test_pictures_of_few_pixels(shape):
    found = packaged().perceive(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint16))
    assert np.isfinite(found.quality).all()


def test_values_fill_their_bins_by_hand():
    """Bins 0 to 1 and 1 to 3 of a feature of a region, of its image, and of their difference."""
    head = PerceptionHead(2, 1, 2, bins=2)
    head.edges.copy_(torch.tensor([[0.0, 1, 3]] * 3))
    features = torch.tensor([[9.0, 9, 2, 9, 9, 0.25], [9, 9, -1, 9, 9, 4]])
    found = head.encode(head.of_pixels(features))
    assert found.tolist() == [[1, 0.5, 0.25, 0, 1, 0.375], [0, 0, 1, 1, 0, 0]]
    head.edges.zero_()  # a feature that never changes
    assert torch.isfinite(head.encode(head.of_pixels(features))).all()


def test_dropout_and_gradients_reach_the_head():
    head = PerceptionHead(1, 1, 2, hidden=8)
    head(torch.randn(3, 4))["quality"].sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_a_file_gives_back_what_was_written(tmp_path, image, labels):
    written = Perception(load_backbone("tf_efficientnet_lite0", "packaged"), ("noise", "haze"))
    write(tmp_path / "own.safetensors", written.eval())
    again = read(tmp_path / "own.safetensors")
    assert again.families == ("noise", "haze")
    np.testing.assert_allclose(
        again.perceive(image, labels).quality, written.perceive(image, labels).quality, atol=2e-2
    )
    assert all(not parameter.requires_grad for parameter in again.parameters())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda state: state.pop("head.base"), "on tf_efficientnet_lite0, found another"),
        (lambda state: state.pop("network.conv_stem.weight"), "weights of tf_efficientnet_lite0"),
    ],
)
def test_a_file_of_another_network_is_refused(tmp_path, damage, says):
    state = load_file(PERCEPTION_FILE)
    damage(state)
    path = tmp_path / "damaged.safetensors"
    save_file(state, path, {"backbone": "tf_efficientnet_lite0", "families": '["noise"]'})
    with pytest.raises(InputError, match=says):
        read(path)


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_file_without_weights_is_refused(tmp_path, content):
    (tmp_path / "broken.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="must be the weights of a perception, found none"):
        read(tmp_path / "broken.safetensors")


def test_weights_of_something_else_are_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="found other weights"):
        read(tmp_path / "other.safetensors")


def test_the_backbone_of_the_perception_is_the_one_that_options_name(image):
    named = load_backbone("tf_efficientnet_lite0", "perception")
    assert named.sha256 == packaged().backbone.sha256
    np.testing.assert_array_equal(
        named.grid_features(image, 4), packaged().backbone.grid_features(image, 4)
    )


def test_the_weights_of_the_perception_on_another_backbone():
    with pytest.raises(InputError, match="perception weights belong to tf_efficientnet_lite0"):
        load_backbone("resnet18", "perception")
