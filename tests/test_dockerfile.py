"""The image of the service: its instructions, what it copies, and the command that it runs."""

import json
import re
import shlex
from pathlib import Path

import pytest

from rsfiqa import cli
from rsfiqa.score.serve.command import Serve

ROOT = Path(__file__).resolve().parents[1]
KNOWN = {"ARG", "CMD", "COPY", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "USER", "WORKDIR"}


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def values(instructions: list[tuple[str, str]], wanted: str) -> list[str]:
    return [rest for name, rest in instructions if name == wanted]


def test_instructions_are_those_of_docker(instructions):
    assert {name for name, _ in instructions} <= KNOWN
    for command in values(instructions, "RUN"):
        assert shlex.split(command)


def test_what_is_copied_is_there_and_not_ignored(instructions):
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert ignored[0] == "*"
    for sources in values(instructions, "COPY"):
        for source in sources.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored


def test_the_command_is_one_of_ours_and_needs_a_token(instructions, monkeypatch, capsys):
    (command,) = values(instructions, "CMD")
    program, *words = json.loads(command)
    assert program == "rsfiqa"
    _, parsed = cli._chosen(cli.parse(words))
    assert isinstance(parsed, Serve)
    assert values(instructions, "EXPOSE") == [str(parsed.port)]
    assert f"127.0.0.1:{parsed.port}/health" in values(instructions, "HEALTHCHECK")[0]
    monkeypatch.delenv("RSFIQA_TOKEN", raising=False)
    assert cli.main(words) == 1
    assert "RSFIQA_TOKEN=$(openssl rand" in capsys.readouterr().err


def test_it_runs_as_an_ordinary_user_with_the_tested_versions(instructions):
    names = [name for name, _ in instructions]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")
    (install,) = (run for run in values(instructions, "RUN") if "[app]" in run)
    assert "--constraint requirements.lock" in install
    assert values(instructions, "ARG") == ["TORCH=cpu"]
    assert re.search(r"^torch==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)


def test_torch_and_torchvision_are_built_for_the_same_processor(instructions):
    """Beside a torch for the CPU, torchvision from PyPI lacks its operator nms."""
    (install,) = (run for run in values(instructions, "RUN") if "--index-url" in run)
    (pattern,) = re.findall(r"grep -iE '(.*?)'", install)
    locked = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    names = {line.partition("==")[0] for line in locked if re.search(pattern, line)}
    assert names == {"torch", "torchvision"}
