"""A backbone and the model on top of it as one module."""

import numpy as np
import pytest
import torch

from rsfiqa.backbones.loading import load_backbone
from rsfiqa.model import RSA
from rsfiqa.train.finetuned_model import FinetunedModel, finetuning_groups, layer_name
from rsfiqa.train.options import TrainOptions


def test_the_backbone_gets_no_gradient_from_localization(setup):
    """The drop is that of the two images by themselves; its gradient ends at the model."""
    model = setup.model().eval()
    random = np.random.default_rng(0)
    pixels = list(random.integers(0, 256, (3, 3, 64, 64), dtype=np.uint8))
    batch = setup.data.batch.take(torch.arange(2))
    prediction, drop = model(pixels[:2], batch, {1: pixels[2]})
    second = batch.take(torch.tensor([1]))
    single = [model(pixels[i : i + 1], second)[0].region_quality for i in (1, 2)]
    torch.testing.assert_close(drop, single[0] - single[1])
    torch.testing.assert_close(prediction.region_quality[1:], single[0])
    drop[0, 0].backward()
    assert all(weight.grad is None for weight in model.network.parameters())
    assert any(weight.grad is not None and weight.grad.any() for weight in model.model.parameters())


def test_images_of_several_sizes_keep_their_order(setup):
    model = setup.model().eval()
    random = np.random.default_rng(0)
    pixels = [random.integers(0, 256, (3, side, 64), dtype=np.uint8) for side in (64, 48, 64, 48)]
    with torch.no_grad():
        features = model.grid_features(pixels)
        single = torch.cat([model.grid_features([image]) for image in pixels])
    torch.testing.assert_close(features, single, atol=1e-4, rtol=1e-4)


def test_batch_normalization_stays_in_evaluation_mode(setup):
    model = setup.model().train()
    layers = [m for m in model.network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(layers) > 10
    assert not any(layer.training for layer in layers)
    assert model.model.training


@pytest.mark.parametrize(
    ("parameter", "layer"),
    [
        ("blocks.3.1.conv.weight", "blocks.3.1"),
        ("conv_stem.weight", "conv_stem"),
        ("model.blocks.5.attn.qkv.weight", "model.blocks.5"),
        ("layer1.0.conv1.weight", "layer1.0"),
        ("layer1.0.downsample.0.weight", "layer1.0"),  # a residual block is one layer
    ],
)
def test_the_layer_of_a_parameter(parameter, layer):
    assert layer_name(parameter) == layer


def test_learning_rates_fall_from_the_last_layer_to_the_first():
    backbone = load_backbone("tf_efficientnet_lite0", "packaged")
    model = FinetunedModel(backbone, RSA(backbone.channels, text_dim=4), 4)
    options = TrainOptions(finetune={"lr": 1e-3, "layer_decay": 0.5})
    lr = {
        id(p): group["lr"] for group in finetuning_groups(model, options) for p in group["params"]
    }
    named = dict(model.network.named_parameters())
    last, first = named["blocks.6.0.conv_pw.weight"], named["conv_stem.weight"]
    assert lr[id(last)] == pytest.approx(1e-3)
    assert lr[id(first)] < 1e-3 * 0.5**10
    assert len(lr) == len(named) + len(dict(model.model.named_parameters()))
