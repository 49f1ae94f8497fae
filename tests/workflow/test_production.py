"""config/production.yaml is complete: with files where it wants them, all of it is planned."""

import subprocess
import sys

import pytest
import yaml

from tests.support.workflow import ROOT

PRODUCTION = ROOT / "config/production.yaml"


@pytest.fixture
def models(tmp_path, checkpoint):
    """Files as small as they can be in place of the models, for an overlay."""
    for folder, names in (
        ("mllm", ["config.json", "preprocessor_config.json"]),
        ("encoder", ["config.json"]),
        (".", ["backbone.safetensors"]),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in names:
            (tmp_path / folder / name).write_text("{}")
    return {
        "segment": {"checkpoint": str(checkpoint), "model_type": "auto"},
        "caption": {"server": {"weights": str(tmp_path / "mllm")}},
        "embed": {"encoder": str(tmp_path / "encoder")},
        "extract": {"weights": str(tmp_path / "backbone.safetensors")},
    }


def plan(folder, overlay):
    path = folder / "overlay.yaml"
    path.write_text(yaml.safe_dump(overlay), "utf-8")
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--dry-run"]
    place = ["--directory", str(folder), "--configfile", str(PRODUCTION), str(path)]
    return subprocess.run(
        [*command, *place, "--cores", "8", "--resources", "gpu=1", "--printshellcmds"],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_it_can_be_planned(tmp_path, models):
    found = plan(tmp_path, models)
    assert found.returncode == 0, found.stdout
    assert "--backend=sam" in found.stdout
    assert "--server-log results/logs/caption/demo/00000.server.log" in found.stdout
    assert "--model=Qwen/Qwen2.5-VL-7B-Instruct" in found.stdout


@pytest.mark.parametrize(
    ("section", "key", "message"),
    [
        ("segment", "checkpoint", "segment.checkpoint: must be a file, found none at /nowhere"),
        (
            "caption.server",
            "weights",
            "caption.server.weights: must be the folder of a model with config.json",
        ),
        ("embed", "encoder", "embed.encoder: must be packaged-minilm, none, a folder with"),
        ("extract", "weights", "extract.weights: must be a file, found none at /nowhere"),
    ],
)
def test_a_missing_model_is_found_before_the_first_job(tmp_path, models, section, key, message):
    options = models
    for name in section.split("."):
        options = options[name]
    options[key] = "/nowhere"
    found = plan(tmp_path, models)
    assert found.returncode != 0
    assert message in found.stdout


def test_it_overrides_nothing_that_config_yaml_lacks():
    known = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))
    for section, options in yaml.safe_load(PRODUCTION.read_text("utf-8")).items():
        assert section in known
        if isinstance(options, dict):
            assert set(options) <= set(known[section])
