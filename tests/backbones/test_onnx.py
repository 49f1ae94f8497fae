import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from rsfiqa.backbones import onnx
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.errors import InputError

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnx", reason="needs the extra onnx")


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return load_backbone("tf_efficientnet_lite0", "packaged")


@pytest.fixture(scope="module")
def converted(lite0) -> Backbone:
    return onnx.to_onnx(lite0)


@pytest.mark.parametrize("size", [(96, 64), (64, 64), (97, 131), (33, 250), (1, 1)])
def test_images_of_any_size_have_the_maps_of_torch(lite0, converted, size):
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = lite0.feature_maps(x), converted.feature_maps(x)
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(b, a, rtol=0, atol=2e-5 * float(a.abs().max()))


def test_the_network_stays_as_it_was(lite0, converted):
    assert not lite0.network.training
    assert not any(module.training for module in lite0.network.modules())
    assert converted.channels == lite0.channels


def test_nothing_is_sent_and_nothing_left(tmp_path):
    line = "from rsfiqa.backbones import onnx; import onnxruntime"
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    subprocess.run(
        [sys.executable, "-c", line], env=variables | {"TMPDIR": str(tmp_path)}, check=True
    )
    assert list(tmp_path.iterdir()) == []


class Halved(nn.Module):
    """A network whose output depends on the size in a way that tracing loses."""

    def forward(self, x):
        return [x * 0.5 if x.shape[2] == 96 else x]


def test_a_graph_with_other_maps_is_refused(lite0):
    with pytest.raises(InputError, match=r"backbone: must give the same maps .* --runtime torch$"):
        onnx.to_onnx(replace(lite0, network=Halved()))


class Unknown(nn.Module):
    """A network with an operator that ONNX lacks."""

    def forward(self, x):
        return [torch.special.bessel_j0(x)]


def test_a_network_that_onnx_cannot_express_is_refused(lite0, capfd):
    with pytest.raises(InputError, match=r"ONNX can express, found aten::special_bessel_j0; cho"):
        onnx.to_onnx(replace(lite0, network=Unknown()))
    assert capfd.readouterr() == ("", "")


class Patches(nn.Module):
    """A network for sides that are multiples of 14, as those of DINOv2."""

    def forward(self, x):
        assert x.shape[2] % 14 == x.shape[3] % 14 == 0, "sides must be divisible by 14"
        return [x * 0.5]


class Fixed(nn.Module):
    """A network whose graph is bound to the size of the traced image."""

    def forward(self, x):
        return [x.reshape(3, int(x.shape[2]), int(x.shape[3]))[None]]


@pytest.mark.parametrize(
    ("network", "multiple", "found"),
    [(Patches(), 14, "sides must be divisible by 14"), (Fixed(), 1, ".*Reshape.*")],
)
def test_a_network_that_cannot_be_traced_or_run_is_refused(lite0, network, multiple, found):
    backbone = replace(lite0, network=network, side_multiple=multiple)
    message = rf"^backbone: must be a network that ONNX .*, found {found}; choose --runtime torch$"
    with pytest.raises(InputError, match=message):
        onnx.to_onnx(backbone)
    assert onnx.as_onnx(backbone, "auto", torch.device("cpu")) is None
