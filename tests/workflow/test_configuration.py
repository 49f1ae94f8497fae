import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from rsfiqa.errors import InputError
from workflow import configuration

ROOT = Path(__file__).resolve().parents[2]


def shipped() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))


def test_the_schema_file_is_the_one_that_the_options_give():
    kept = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text("utf-8"))
    assert kept == configuration.schema(), "run make schema"


def test_every_key_is_described_and_typed():
    sections = [configuration.schema(), *configuration.schema()["$defs"].values()]
    for section in sections:
        assert section["additionalProperties"] is False
        for key, described in section["properties"].items():
            assert "description" in described or "$ref" in described, key


def test_the_shipped_configuration_is_complete():
    """Every key of every section stands there, but for those of single data sets."""
    content = shipped()
    assert set(content) == set(configuration.Config.model_fields)
    for name, field in configuration.Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            assert set(content[name]) == set(field.annotation.model_fields), name


def test_the_shipped_configuration_and_the_options_have_the_same_defaults():
    content = shipped()
    for name in ("gpus", "segment", "caption", "embed", "extract", "train", "report"):
        field = configuration.Config.model_fields[name]
        assert content[name] == field.annotation().model_dump(mode="json"), name


def test_defaults_are_filled_in():
    content = shipped()
    del content["train"]["epochs"], content["seed"]
    assert configuration.check(content) == configuration.check(shipped())


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        (None, "sead", 1, "config: unknown key sead, found 1; remove or correct it"),
        ("train", "epoch", 5, "config: unknown key train.epoch, found 5; remove or correct it"),
        (
            "embed",
            "batch_size",
            "64",
            "config: embed.batch_size: input should be a valid integer, found '64'; change it",
        ),
        (
            "segment",
            "min_area_fraction",
            0.7,
            "config: segment.min_area_fraction: input should be less than or equal to 0.5, found"
            " 0.7; change it",
        ),
        (
            "benchmark",
            "datasets",
            ["mine"],
            "config: benchmark.datasets must name entries of datasets, found 'mine'; add it"
            " there or use one of demo",
        ),
        (
            "benchmark",
            "official",
            ["mine"],
            "config: benchmark.official must name entries of benchmark.datasets, found 'mine'; add"
            " it there or use one of demo",
        ),
        ("datasets", "Mine!", {"layout": "demo"}, "string should match pattern"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(section, key, value, message):
    content = shipped()
    (content[section] if section else content)[key] = value
    with pytest.raises(InputError) as caught:
        configuration.check(content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_number_of_further_findings():
    content = shipped() | {"seed": -1, "shard_size": 0, "results": ""}
    with pytest.raises(InputError, match=r"\(and 2 more\)$"):
        configuration.check(content)


def test_a_data_set_without_root():
    content = shipped()
    content["datasets"]["demo"] = {"layout": "livec"}
    with pytest.raises(InputError, match=r"datasets.demo.root must be given for layout livec"):
        configuration.check(content)


def test_a_base_model_that_cannot_be_taught(tmp_path):
    content = shipped()
    content["teach"]["train"]["model"] = str(tmp_path)
    for name, message in (
        ("config.json", r"teach\.train\.model: must have an image processor, found none in"),
        ("preprocessor_config.json", r"teach\.train\.model: must have a chat template, found none"),
    ):
        (tmp_path / name).write_text("{}")
        with pytest.raises(InputError, match=message):
            configuration.check(content)
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    assert configuration.check(content)["teach"]["train"]["model"] == str(tmp_path)


def test_fewer_gpus_than_the_own_server_takes():
    content = shipped()
    content["caption"] |= {
        "backend": "vllm",
        "model": "m",
        "server": {"tensor_parallel": 2, "data_parallel": 2},
    }
    assert configuration.check(content)["gpus"]["caption"] == 0  # a server without GPUs
    content["gpus"]["caption"] = 3
    message = (
        r"config: gpus.caption must cover tensor_parallel x data_parallel = 4 of caption.server,"
        r" found 3; raise it"
    )
    with pytest.raises(InputError, match=message):
        configuration.check(content)
    content["caption"]["endpoints"] = ["http://localhost:8000/v1"]
    assert configuration.check(content)["gpus"]["caption"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "no such file"), ("a: [", "not YAML"), ("", "datasets is req")],
)
def test_files_that_are_no_configuration(tmp_path, text, message):
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=message) as caught:
        configuration.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_layout_without_an_official_split_is_refused():
    content = shipped()
    content["datasets"]["demo"] = {"layout": "livec", "root": "."}
    content["benchmark"] |= {"datasets": ["demo"], "official": ["demo"]}
    message = r"split \(layouts koniq10k, flive, biq2021, csv\), found 'demo' of layout livec; take"
    with pytest.raises(InputError, match=message):
        configuration.check(content)


def test_models_are_looked_for_without_importing_torch(tmp_path):
    """Snakemake reads the configuration anew in every job."""
    content = shipped()
    weights = tmp_path / "weights.pth"
    weights.touch()
    content["segment"] |= {"backend": "sam", "checkpoint": str(weights)}
    content["caption"] |= {"backend": "vllm", "model": "m"}
    content["embed"]["encoder"] = "owner/encoder"
    content["extract"] |= {"backbone": "convnext_base", "weights": str(weights)}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    code = (
        "import sys; from pathlib import Path; from workflow import configuration;"
        " configuration.read(Path(sys.argv[1]));"
        " print({'torch', 'timm', 'transformers'} & set(sys.modules))"
    )
    line = [sys.executable, "-c", code, str(path)]
    run = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
