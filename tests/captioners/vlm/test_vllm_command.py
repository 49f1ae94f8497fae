"""The command line of vLLM's server, and the checks of its options."""

from pathlib import Path

import pytest

from rsfiqa.caption.options import ServerOptions
from rsfiqa.captioners.vlm.vllm_command import check, command, model_digests
from rsfiqa.errors import InputError


def test_the_command_line():
    options = ServerOptions(
        weights="~/m", python="/x/python", tensor_parallel=2, arguments="--seed 1 --x 'a b'"
    )
    line = command(options, "tiny", "127.0.0.1", 8123)
    assert line[:3] == ["/x/python", "-m", "vllm.entrypoints.openai.api_server"]
    assert line[line.index("--model") + 1] == str(Path("~/m").expanduser())
    assert line[line.index("--served-model-name") + 1] == "tiny"
    assert line[line.index("--tensor-parallel-size") + 1] == "2"
    assert line[-4:] == ["--seed", "1", "--x", "a b"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            [],
            r"caption.server.weights: must be the folder of a model .*; download",
        ),
        (
            ["config.json"],
            r"caption.server.weights: must be a vision-language model .*; use",
        ),
    ],
)
def test_a_folder_that_cannot_be_served(tmp_path, files, message):
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=message):
        check(ServerOptions(weights=str(tmp_path)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"python": "/no/python"},
            r"caption.server.python: must be an interpreter, found none at",
        ),
        ({"arguments": "--x 'a"}, r"caption.server.arguments: must be quoted as in a shell"),
    ],
)
def test_options_that_no_server_could_have(changes, message):
    with pytest.raises(InputError, match=message):
        check(ServerOptions(**changes))


def test_digests_are_those_of_the_model_files(tmp_path):
    for name in ("config.json", "model.safetensors", "README.md"):
        (tmp_path / name).write_text(name)
    assert set(model_digests(ServerOptions(weights=str(tmp_path)))) == {
        "config.json",
        "model.safetensors",
    }
    assert model_digests(ServerOptions()) == {}
