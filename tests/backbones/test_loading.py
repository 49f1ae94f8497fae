import argparse

import cv2
import numpy as np
import pytest
import skimage
import timm
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from rsfiqa.backbones.backbone import grid_statistics
from rsfiqa.backbones.loading import load_backbone, load_finetuned
from rsfiqa.backbones.weights import PACKAGES, weights_path
from rsfiqa.errors import InputError
from rsfiqa.extract.options import ExtractOptions

LITE0 = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def lite0():
    return load_backbone(LITE0, "packaged")


@pytest.fixture(scope="module")
def chelsea():
    """A photograph of a cat, uint8 (300, 451, 3)."""
    return skimage.data.chelsea()


@pytest.mark.parametrize("name", list(PACKAGES))
def test_the_packaged_weights_know_a_cat(name, chelsea):
    loaded = load_backbone(name, "packaged")
    model = timm.create_model(name, pretrained=False).eval()
    state = dict(
        zip(
            model.state_dict(),
            torch.load(weights_path(name, "packaged"), weights_only=True).values(),
            strict=True,
        )
    )
    model.load_state_dict(state)
    own = loaded.network.state_dict()
    assert len(own) > 200
    for key, tensor in own.items():  # the file's tensors were assigned in order
        assert torch.equal(tensor, state[key]), key
    square = cv2.resize(chelsea, (224, 224), interpolation=cv2.INTER_AREA)  # as in training
    x = torch.from_numpy(square).permute(2, 0, 1).float() / 255
    with torch.inference_mode():
        probabilities = model(((x - loaded.mean) / loaded.std)[None]).softmax(-1)[0]
    assert probabilities.argmax() == 285  # Egyptian cat
    assert probabilities[285] > 0.5


def test_preprocessing_and_channels(lite0):
    assert lite0.channels == (16, 24, 40, 112, 320)
    assert lite0.mean.flatten().tolist() == lite0.std.flatten().tolist() == [0.5] * 3
    assert not lite0.network.training
    assert len(lite0.sha256) == 64


def test_statistics_against_numpy():
    feature_map = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    computed = grid_statistics(feature_map, 2)
    cells = feature_map.numpy().reshape(2, 3, 2, 2, 2, 3).swapaxes(3, 4)  # (B, C, G, G, 2, 3)
    np.testing.assert_allclose(computed[:, 0], cells.mean(axis=(4, 5)), atol=1e-6)
    np.testing.assert_allclose(computed[:, 1], cells.std(axis=(4, 5)), atol=1e-5)


def test_a_feature_map_smaller_than_the_grid():
    computed = grid_statistics(torch.tensor([[[[1.0, 3.0]]]]), 4)
    assert computed[0, 0, 0].tolist() == [[1, 1, 3, 3]] * 4
    assert computed[0, 1].abs().max() == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (33, 2), (64, 64)])
@pytest.mark.parametrize("grid", [1, 4])
def test_images_of_any_size(lite0, shape, grid):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    grid_features = lite0.grid_features(image, grid)
    assert grid_features.shape == (2, 512, grid, grid)
    assert grid_features.dtype == np.float32
    assert np.isfinite(grid_features).all()
    assert (grid_features[1] >= 0).all()


def test_grid_cells_lie_where_the_image_is(lite0, noise):
    image = np.full((128, 128, 3), 128, np.uint8)
    image[:64, 64:] = noise
    deviation = lite0.grid_features(image, 2)[1, :16].mean(axis=0)  # of the first feature map
    assert deviation.argmax() == 1  # top right
    assert deviation[0, 1] > 3 * deviation[1, 0]


def test_weights_from_a_file(tmp_path, lite0, noise):
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", pretrained=False)
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    torch.save(model.state_dict(), tmp_path / "a.pth")
    first, second = (
        load_backbone("test_resnet", str(tmp_path / f"a.{suffix}"))
        for suffix in ("safetensors", "pth")
    )
    features = first.grid_features(noise, 2)
    np.testing.assert_array_equal(features, second.grid_features(noise, 2))
    assert sum(first.channels) == features.shape[1]


def test_weights_of_another_backbone(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"must hold weights of test_resnet \(Error"):
        load_backbone("test_resnet", str(path))


def resnet(name="test_resnet"):
    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False)


def prefixed(state: dict, prefix: str) -> dict:
    return {f"{prefix}{name}": value for name, value in state.items()}


WRAPPED = {
    "another head": lambda state: {
        k: v[:7] if k.startswith("fc.") else v for k, v in state.items()
    },
    "no head": lambda state: {k: v for k, v in state.items() if not k.startswith("fc.")},
    "module": lambda state: prefixed(state, "module."),
    "compiled": lambda state: prefixed(state, "module._orig_mod."),
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}},
    "model": lambda state: {"model": state, "args": argparse.Namespace(lr=0.1)},
    "averaged": lambda state: {
        "state_dict": prefixed(state, "not."),
        "state_dict_ema": prefixed(state, "module."),
    },
    "lightning": lambda state: {
        "state_dict": prefixed(state, "net.backbone.") | {"net.head.weight": torch.zeros(3)}
    },
    "old": lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
}


@pytest.mark.parametrize("form", WRAPPED)
def test_weights_as_training_programs_save_them(tmp_path, form, noise):
    state = resnet().state_dict()
    torch.save(state, tmp_path / "plain.pth")
    expected = load_backbone("test_resnet", str(tmp_path / "plain.pth")).grid_features(noise, 2)
    torch.save(WRAPPED[form](state), tmp_path / "a.pth")
    loaded = load_backbone("test_resnet", str(tmp_path / "a.pth"))
    np.testing.assert_array_equal(loaded.grid_features(noise, 2), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state | {"conv1.0.weight": torch.zeros(2, 3)},
            r"\(Errors: 1 of other shapes, such as conv1.0.weight is \(2, 3\) instead of \(",
        ),
        (
            lambda state: {k: v for k, v in state.items() if k != "conv1.0.weight"},
            r"\(Errors: 1 of 90 tensors missing, such as conv1.0.weight\)",
        ),
        (
            lambda state: state | {"layer4.9.conv1.weight": torch.zeros(1)},
            r"\(Errors: 1 unknown, such as layer4.9.conv1.weight\)",
        ),
        (
            lambda state: prefixed(state, "encoder_q.") | prefixed(state, "encoder_k."),
            r"\(it holds several such models, encoder_k. and encoder_q.\)",
        ),
        (lambda state: {"model": state, "state_dict": {}}, r"\(Errors: 75 of 90 tensors missing"),
    ],
)
def test_how_weights_differ(tmp_path, change, message):
    torch.save(change(resnet().state_dict()), tmp_path / "a.pth")
    with pytest.raises(InputError, match=f"a.pth: must hold weights of test_resnet {message}") as e:
        load_backbone("test_resnet", str(tmp_path / "a.pth"))
    assert str(e.value).endswith("; give another file")


def test_weights_of_a_deeper_model(tmp_path):
    torch.save(resnet("resnet34").state_dict(), tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"unknown, such as layer1.2.conv1.weight\)"):
        load_backbone("resnet18", str(tmp_path / "a.pth"))


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"model": 3}, {}, torch.zeros(2)])
def test_a_file_of_something_else(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a.pth: must (be a state dict|hold weights)"):
        load_backbone("test_resnet", str(tmp_path / "a.pth"))


@pytest.mark.parametrize("name", ["timm/test_resnet", "hf-hub:timm/test_resnet", " test_resnet"])
def test_a_name_as_on_the_hub(tmp_path, name):
    torch.save(resnet().state_dict(), tmp_path / "a.pth")
    assert load_backbone(name, str(tmp_path / "a.pth")).channels
    assert ExtractOptions(backbone=name).backbone == "test_resnet"


@pytest.mark.parametrize("name", ["hf-hub:owner/model", "local-dir:/x", "owner/model", "timm/", ""])
def test_a_name_of_no_timm_model(tmp_path, name):
    (tmp_path / "a.pth").touch()
    with pytest.raises(InputError, match=f"must be the name of a timm model, found {name}; choose"):
        load_backbone(name, str(tmp_path / "a.pth"))
    with pytest.raises(ValidationError, match="should be the name of a timm model, such as resn"):
        ExtractOptions(backbone=name)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_file_without_weights(tmp_path, name):
    (tmp_path / name).write_text("not weights", "utf-8")
    with pytest.raises(InputError, match=rf"{name}: must be a state dict .*; give another file$"):
        load_backbone("test_resnet", str(tmp_path / name))


def test_packaged_weights_belong_to_three_backbones():
    message = r"extract.weights: packaged weights belong to tf_efficientnet_lite0, .*, found"
    with pytest.raises(InputError, match=message + r" backbone x; give the path"):
        weights_path("x", "packaged")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, offline."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


def test_weights_from_the_hub(hub):
    repository = hub / "models--timm--resnet18.a1_in1k"
    folder = repository / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40, "utf-8")
    model = timm.create_model("resnet18", pretrained=False)
    save_file(model.state_dict(), folder / "model.safetensors")
    loaded = load_backbone("resnet18", "hub")
    assert torch.equal(loaded.network.state_dict()["conv1.weight"], model.conv1.weight)


def test_weights_missing_on_the_hub(hub):
    message = "extract.weights: timm/resnet18.a1_in1k must be on the hub or in its cache, found"
    with pytest.raises(InputError, match=message):
        weights_path("resnet18", "hub")


@pytest.mark.parametrize("name", ["test_no", "resnet18.no_such_tag"])
def test_a_backbone_unknown_to_the_hub(name):
    with pytest.raises(InputError, match=f"the hub must have weights of {name}, found none; give"):
        weights_path(name, "hub")


@pytest.mark.parametrize("option", ["extract.weights", "score.weights"])
def test_missing_weights(option):
    message = rf"^{option}: must be a file, found none at /none; correct the path$"
    with pytest.raises(InputError, match=message):
        weights_path("x", "/none", option=option)


def test_an_unknown_backbone(tmp_path):
    (tmp_path / "a.pth").touch()
    with pytest.raises(InputError, match=r"extract.backbone: must be a timm model .*, found nonet"):
        load_backbone("nonet", str(tmp_path / "a.pth"))


ARCHITECTURES = [
    "test_resnet",
    "test_convnext",
    "test_efficientnet",
    "test_vit",
    "swin_tiny_patch4_window7_224",
]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def any_backbone(request, tmp_path_factory):
    """Name, timm's model and the backbone of an architecture, with the same random weights."""
    torch.manual_seed(0)
    model = timm.create_model(request.param, pretrained=False).eval()
    path = tmp_path_factory.mktemp("weights") / "a.safetensors"
    save_file(model.state_dict(), path)
    return request.param, model, load_backbone(request.param, str(path))


@pytest.mark.parametrize("shape", [(64, 64), (70, 101), (3, 40)])
def test_any_architecture_and_size(any_backbone, shape):
    _, _, loaded = any_backbone
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    grid_features = loaded.grid_features(image, 4)
    assert grid_features.shape == (2, sum(loaded.channels), 4, 4)
    assert np.isfinite(grid_features).all()
    assert len(loaded.channels) >= 4


def test_the_weights_are_the_files(any_backbone):
    """Each tensor of the extractor equals the tensor of the model at the same place."""
    _, model, loaded = any_backbone
    state = {name.replace(".", "_"): value for name, value in model.state_dict().items()}
    for name, value in loaded.network.state_dict().items():
        assert torch.equal(value, state[name.removeprefix("model.").replace(".", "_")])


def test_a_fine_tuned_backbone_is_read_back(any_backbone, noise, tmp_path):
    name, _, loaded = any_backbone
    state = {
        key: value + 0.01 if value.is_floating_point() else value
        for key, value in loaded.network.state_dict().items()
    }
    (tmp_path / "a").write_text("")
    again = load_finetuned(name, state, tmp_path / "a")
    for key, value in again.network.state_dict().items():
        assert torch.equal(value, state[key])
    assert again.grid_features(noise, 2).shape == loaded.grid_features(noise, 2).shape


def test_a_vit_returns_evenly_spaced_blocks(any_backbone, noise):
    name, model, loaded = any_backbone
    if name != "test_vit":
        pytest.skip("has feature maps of several resolutions")
    x = torch.from_numpy(noise).permute(2, 0, 1).float() / 255
    x = ((x - loaded.mean) / loaded.std)[None]
    depth = len(model.blocks)
    blocks = [depth // 4 - 1, depth // 2 - 1, 3 * depth // 4 - 1, depth - 1]
    vit = timm.create_model(name, pretrained=False, dynamic_img_size=True).eval()
    vit.load_state_dict(model.state_dict())
    with torch.inference_mode():
        expected = vit.forward_intermediates(x, indices=blocks, intermediates_only=True)
        maps = loaded.feature_maps(x)
    for actual, reference in zip(maps, expected, strict=True):
        torch.testing.assert_close(actual, reference)


def test_a_model_for_one_size_of_image(tmp_path):
    model = timm.create_model("mixer_s32_224", pretrained=False)
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"extract.backbone: must .* found mixer_s32_224 \("):
        load_backbone("mixer_s32_224", str(tmp_path / "a.safetensors"))


def test_channels_last_is_a_property_of_the_model_not_of_shapes(any_backbone):
    """The first feature map of Swin is as high as its number of channels here."""
    name, _, loaded = any_backbone
    assert loaded.channels_last == name.startswith("swin")
    if not loaded.channels_last:
        return
    image = np.random.default_rng(0).integers(0, 256, (4 * loaded.channels[0], 64, 3))
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    assert [each.shape[1] for each in loaded.feature_maps(x)] == list(loaded.channels)


def test_grid_cells_lie_where_the_image_is_if_it_is_padded(any_backbone):
    """The feature maps cover the image without its padding."""
    name, _, loaded = any_backbone
    if loaded.side_multiple == 1:
        pytest.skip("takes any size")
    x = torch.randn(1, 3, 2 * loaded.side_multiple + 1, 3 * loaded.side_multiple)
    reductions = loaded.network.feature_info.reduction()
    for feature_map, reduction in zip(loaded.feature_maps(x), reductions, strict=True):
        assert feature_map.shape[2] == -(-x.shape[2] // reduction), name
