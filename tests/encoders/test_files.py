import pytest

from rsfiqa.encoders import files
from rsfiqa.encoders.files import check, encoder_folder, weight_hashes
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of


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


def test_weight_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "config.json").write_text("{}")
    for name in ("model.safetensors", "2_Dense/model.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
    hashes = weight_hashes(str(tmp_path))
    assert hashes == {name: sha256_of(tmp_path / name) for name in hashes}
    assert sorted(hashes) == ["2_Dense/model.safetensors", "model.safetensors"]
    assert list(weight_hashes("packaged-minilm")) == ["model.safetensors"]
