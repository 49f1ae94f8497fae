import cv2
import numpy as np
import pytest
import skimage
import timm
import torch
from safetensors.torch import save_file

from rsfiqa.backbones import backbone
from rsfiqa.backbones import loading as backbones
from rsfiqa.backbones import weights as backbone_weights
from rsfiqa.errors import InputError

LITE0 = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def lite0():
    return backbones.load(LITE0, "packaged")


@pytest.fixture(scope="module")
def chelsea():
    """A photograph of a cat, uint8 (300, 451, 3)."""
    return skimage.data.chelsea()


@pytest.mark.parametrize("name", list(backbone_weights.PACKAGES))
def test_the_packaged_weights_know_a_cat(name, chelsea):
    loaded = backbones.load(name, "packaged")
    whole = timm.create_model(name, pretrained=False).eval()
    state = dict(
        zip(
            whole.state_dict(),
            torch.load(backbone_weights.weights_path(name, "packaged"), weights_only=True).values(),
            strict=True,
        )
    )
    whole.load_state_dict(state)
    stages = loaded.stages.state_dict()
    assert len(stages) > 200
    for key, tensor in stages.items():  # the same order of loading
        assert torch.equal(tensor, state[key]), key
    square = cv2.resize(chelsea, (224, 224), interpolation=cv2.INTER_AREA)  # as in training
    x = torch.from_numpy(square).permute(2, 0, 1).float() / 255
    with torch.inference_mode():
        fractions = whole(((x - loaded.mean) / loaded.std)[None]).softmax(-1)[0]
    assert fractions.argmax() == 285  # Egyptian cat
    assert fractions[285] > 0.5


def test_preprocessing_and_stages(lite0):
    assert lite0.channels == (16, 24, 40, 112, 320)
    assert lite0.mean.flatten().tolist() == lite0.std.flatten().tolist() == [0.5] * 3
    assert not lite0.stages.training
    assert len(lite0.sha256) == 64


def test_statistics_against_numpy():
    stage = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    found = backbone.statistics(stage, 2)
    grid_features = stage.numpy().reshape(2, 3, 2, 2, 2, 3).swapaxes(3, 4)  # (B, C, G, G, 2, 3)
    np.testing.assert_allclose(found[:, 0], grid_features.mean(axis=(4, 5)), atol=1e-6)
    np.testing.assert_allclose(found[:, 1], grid_features.std(axis=(4, 5)), atol=1e-5)


def test_a_map_smaller_than_the_grid():
    found = backbone.statistics(torch.tensor([[[[1.0, 3.0]]]]), 4)
    assert found[0, 0, 0].tolist() == [[1, 1, 3, 3]] * 4
    assert found[0, 1].abs().max() == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (33, 2), (64, 64)])
@pytest.mark.parametrize("grid", [1, 4])
def test_pictures_of_any_size(lite0, shape, grid):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    grid_features = lite0.grid_features(image, grid)
    assert grid_features.shape == (2, 512, grid, grid)
    assert grid_features.dtype == np.float32
    assert np.isfinite(grid_features).all()
    assert (grid_features[1] >= 0).all()


def test_cells_lie_where_the_picture_is(lite0, noise):
    image = np.full((128, 128, 3), 128, np.uint8)
    image[:64, 64:] = noise
    spread = lite0.grid_features(image, 2)[1, :16].mean(axis=0)  # of the first stage
    assert spread.argmax() == 1  # top right
    assert spread[0, 1] > 3 * spread[1, 0]


def test_weights_from_a_file(tmp_path, lite0, noise):
    torch.manual_seed(0)
    small = timm.create_model("test_resnet", pretrained=False)
    save_file(small.state_dict(), tmp_path / "a.safetensors")
    torch.save(small.state_dict(), tmp_path / "a.pth")
    found = [
        backbones.load("test_resnet", str(tmp_path / f"a.{s}")) for s in ("safetensors", "pth")
    ]
    np.testing.assert_array_equal(
        found[0].grid_features(noise, 2), found[1].grid_features(noise, 2)
    )
    assert sum(found[0].channels) == found[0].grid_features(noise, 2).shape[1]


def test_weights_of_another_backbone(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"must hold weights of test_resnet \(Error"):
        backbones.load("test_resnet", str(path))


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_weights_that_are_no_weights(tmp_path, name):
    (tmp_path / name).write_text("not weights", "utf-8")
    with pytest.raises(InputError, match=rf"{name}: must be a state dict .*; give another file$"):
        backbones.load("test_resnet", str(tmp_path / name))


def test_packaged_weights_belong_to_three_backbones():
    message = r"extract.weights: packaged weights belong to tf_efficientnet_lite0, .*, found"
    with pytest.raises(InputError, match=message + r" backbone x; give the path"):
        backbone_weights.weights_path("x", "packaged")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache of the hub, with room for one model, and no connection."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


def test_weights_from_the_hub(hub):
    repository = hub / "models--timm--resnet18.a1_in1k"
    folder = repository / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40, "utf-8")
    whole = timm.create_model("resnet18", pretrained=False)
    save_file(whole.state_dict(), folder / "model.safetensors")
    found = backbones.load("resnet18", "hub")
    assert torch.equal(found.stages.state_dict()["conv1.weight"], whole.conv1.weight)


def test_weights_that_the_hub_has_not(hub):
    message = "extract.weights: timm/resnet18.a1_in1k must be on the hub or in its cache, found"
    with pytest.raises(InputError, match=message):
        backbone_weights.weights_path("resnet18", "hub")


@pytest.mark.parametrize("name", ["test_no", "resnet18.no_such_tag"])
def test_a_backbone_that_the_hub_does_not_know(name):
    with pytest.raises(InputError, match=f"the hub must have weights of {name}, found none; give"):
        backbone_weights.weights_path(name, "hub")


def test_no_weights():
    with pytest.raises(InputError, match=r"extract.weights: must be a file, found none at /none"):
        backbone_weights.weights_path("x", "/none")


def test_an_unknown_backbone(tmp_path):
    (tmp_path / "a.pth").touch()
    with pytest.raises(InputError, match=r"extract.backbone: must be a timm model .*, found nonet"):
        backbones.load("nonet", str(tmp_path / "a.pth"))


ARCHITECTURES = [
    "test_resnet",
    "test_convnext",
    "test_efficientnet",
    "test_vit",
    "swin_tiny_patch4_window7_224",
]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def any_backbone(request, tmp_path_factory):
    """A backbone with random weights from a file, and timm's whole model with the same."""
    torch.manual_seed(0)
    whole = timm.create_model(request.param, pretrained=False).eval()
    path = tmp_path_factory.mktemp("weights") / "a.safetensors"
    save_file(whole.state_dict(), path)
    return request.param, whole, backbones.load(request.param, str(path))


@pytest.mark.parametrize("shape", [(64, 64), (70, 101), (3, 40)])
def test_any_architecture_and_size(any_backbone, shape):
    _, _, found = any_backbone
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    grid_features = found.grid_features(image, 4)
    assert grid_features.shape == (2, sum(found.channels), 4, 4)
    assert np.isfinite(grid_features).all()
    assert len(found.channels) >= 4


def test_the_weights_are_the_files(any_backbone):
    """Every tensor of the extractor is one of the whole model's, by its place in the model."""
    _, whole, found = any_backbone
    state = {name.replace(".", "_"): value for name, value in whole.state_dict().items()}
    for name, value in found.stages.state_dict().items():
        assert torch.equal(value, state[name.removeprefix("model.").replace(".", "_")])


def test_a_fine_tuned_backbone_is_read_back(any_backbone, noise, tmp_path):
    name, _, found = any_backbone
    state = {
        key: value + 0.01 if value.is_floating_point() else value
        for key, value in found.stages.state_dict().items()
    }
    (tmp_path / "a").write_text("")
    again = backbones.load_stages(name, state, tmp_path / "a")
    for key, value in again.stages.state_dict().items():
        assert torch.equal(value, state[key])
    assert again.grid_features(noise, 2).shape == found.grid_features(noise, 2).shape


def test_a_vit_gives_layers_at_even_distances(any_backbone, noise):
    name, whole, found = any_backbone
    if name != "test_vit":
        pytest.skip("of several scales")
    x = torch.from_numpy(noise).permute(2, 0, 1).float() / 255
    x = ((x - found.mean) / found.std)[None]
    depth = len(whole.blocks)
    layers = [depth // 4 - 1, depth // 2 - 1, 3 * depth // 4 - 1, depth - 1]
    vit = timm.create_model(name, pretrained=False, dynamic_img_size=True).eval()
    vit.load_state_dict(whole.state_dict())
    with torch.inference_mode():
        wanted = vit.forward_intermediates(x, indices=layers, intermediates_only=True)
        made = found.maps(x)
    for a, b in zip(wanted, made, strict=True):
        torch.testing.assert_close(a, b)


def test_a_model_for_one_size_of_image(tmp_path):
    whole = timm.create_model("mixer_s32_224", pretrained=False)
    save_file(whole.state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"extract.backbone: must .* found mixer_s32_224 \("):
        backbones.load("mixer_s32_224", str(tmp_path / "a.safetensors"))


def test_channels_last_maps_are_told_by_the_model_not_by_their_shape(any_backbone):
    """Of Swin, whose first map is as high as it has channels here."""
    name, _, found = any_backbone
    assert found.channels_last == name.startswith("swin")
    if not found.channels_last:
        return
    image = np.random.default_rng(0).integers(0, 256, (4 * found.channels[0], 64, 3))
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    assert [stage.shape[1] for stage in found.maps(x)] == list(found.channels)


def test_cells_lie_where_the_picture_is_in_a_model_that_is_padded(any_backbone):
    """The maps cover the image alone, not what was mirrored to fit."""
    name, _, found = any_backbone
    if found.fit[1] == 1:
        pytest.skip("takes any size")
    x = torch.randn(1, 3, 2 * found.fit[1] + 1, 3 * found.fit[1])
    for stage, reduction in zip(found.maps(x), found.stages.feature_info.reduction(), strict=True):
        assert stage.shape[2] == -(-x.shape[2] // reduction), name
