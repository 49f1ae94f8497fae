import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from rsfiqa.errors import InputError
from rsfiqa.workflow import configuration

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


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "1.e-4", ".1e-3", "+1.0e-4", "0.0001"])
def test_a_number_may_be_written_in_any_form(tmp_path, text):
    path = tmp_path / "config.yaml"
    content = (ROOT / "config.yaml").read_text("utf-8")
    content = content.replace("lr: 0.0002 ", f"lr: {text} ").replace("seed: 0", "seed: 1_000")
    path.write_text(content.replace("epochs: 15", "epochs: 1e1"), "utf-8")
    config = configuration.read(path)
    assert config["train"]["finetune"]["lr"] == pytest.approx(1e-4)
    assert (config["train"]["epochs"], config["seed"]) == (10, 1000)


def test_a_range_may_be_written_in_any_form(tmp_path):
    content = shipped()
    described = {"layout": "csv", "root": str(tmp_path), "mos_range": ["-1e2", "1e2"]}
    content["datasets"]["mine"] = described
    content["benchmark"]["datasets"] = ["mine"]
    assert configuration.check(content)["datasets"]["mine"]["mos_range"] == [-100, 100]


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("train", "lr", "0.1", "train.lr: input should be a valid number, found '0.1'; change it"),
        ("train", "lr", "1e-4x", "train.lr: input should be a valid number, found '1e-4x'"),
        ("train", "lr", float("nan"), "must hold text as keys and finite numbers, found other"),
        ("train", "lr", "1e999", "must hold text as keys and finite numbers, found other"),
        ("train", "epochs", "1e-4", "train.epochs: input should be a valid integer"),
        ("embed", "encoder", date(2024, 1, 1), "embed.encoder: must be"),
        ("embed", ("a", "b"), 1, "must hold text as keys and finite numbers, found other"),
    ],
)
def test_what_is_no_number_is_named_in_one_line(section, key, value, message):
    content = shipped()
    content[section][key] = value
    with pytest.raises(InputError) as caught:
        configuration.check(content)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("~/res", str(Path.home() / "res")),
        ("res/", "res"),
        ("./a//b", "a/b"),
        ("my $res", "my $res"),
        ("~nobody-of-this-name/res", "~nobody-of-this-name/res"),
        ("-res", "./-res"),
    ],
)
def test_the_folder_of_results_is_expanded(given, taken):
    assert configuration.check(shipped() | {"results": given})["results"] == taken


def test_the_folder_of_results_without_braces():
    message = r"results must be without braces, which Snakemake takes for wildcards, found a{b}; ch"
    with pytest.raises(InputError, match=message):
        configuration.check(shipped() | {"results": "a{b}"})


@pytest.mark.parametrize("name", ["train", "benchmark", "report", "teach", "bench", "logs"])
def test_a_data_set_has_another_name_than_a_folder_of_results(name):
    content = shipped()
    content["datasets"][name] = {"layout": "demo"}
    message = f"datasets must have other names than train, .* found '{name}'; rename it"
    with pytest.raises(InputError, match=message):
        configuration.check(content)


def test_the_workflow_makes_all_parts_of_the_examples():
    """Its rule declares the files of all parts; single parts are made by hand, with --part."""
    content = shipped()
    content["teach"]["data"]["part"] = ["train"]
    with pytest.raises(
        InputError, match=r"unknown key teach\.data\.part, found \['train'\]; remove"
    ):
        configuration.check(content)


@pytest.mark.parametrize("layout", ["folder", "kodak"])
def test_a_data_set_without_scores_is_refused(tmp_path, layout):
    content = shipped()
    content["datasets"]["demo"] = {"layout": layout, "root": str(tmp_path)}
    message = (
        f"config: benchmark.datasets must name data sets with scores, found 'demo' of layout"
        f" {layout}; remove it there"
    )
    with pytest.raises(InputError, match=message):
        configuration.check(content)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "config: datasets.demo: csv: mos_range must be given, found none; set it to"),
        ({"mos_range": [5, 1]}, r"config: datasets.demo: csv: mos_range must rise, found \[5, 1\]"),
        ({"layout": "bid", "mos_range": [1, 5]}, "datasets.demo: bid: mos_range and lower_better"),
    ],
)
def test_a_wrong_range_is_refused(tmp_path, options, message):
    content = shipped()
    content["datasets"]["demo"] = {"layout": "csv", "root": str(tmp_path)} | options
    with pytest.raises(InputError, match=message):
        configuration.check(content)


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("datasets", ["demo", "demo"]),
        ("variants", ["full", "none", "full"]),
        ("baselines", ["probe", "probe"]),
    ],
)
def test_a_name_that_stands_twice_is_refused(key, names):
    content = shipped()
    content["benchmark"][key] = names
    message = f"benchmark.{key} must name each once, found '{names[0]}' 2 times; remove one"
    with pytest.raises(InputError, match=message):
        configuration.check(content)


@pytest.mark.parametrize(
    ("section", "key"),
    [("extract", "weights"), ("segment", "checkpoint"), ("embed", "encoder")],
)
def test_a_home_folder_of_nobody_is_no_traceback(section, key):
    content = shipped()
    content["segment"]["backend"] = "sam" if section == "segment" else "superpixel"
    content[section][key] = "~nobody-of-this-name/x"
    with pytest.raises(InputError, match=f"{section}.{key}: must be"):
        configuration.check(content)


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


def test_a_key_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "config.yaml"
    text = (ROOT / "config.yaml").read_text("utf-8")
    path.write_text(
        text.replace("    layout: demo\n", "    layout: demo\n  demo: {}\n", 1), "utf-8"
    )
    message = (
        r"config.yaml: a section must hold each key once, found 'demo' again in line \d+; remo"
    )
    with pytest.raises(InputError, match=message):
        configuration.read(path)


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
        "import sys; from pathlib import Path; from rsfiqa.workflow import configuration;"
        " configuration.read(Path(sys.argv[1]));"
        " print({'torch', 'timm', 'transformers'} & set(sys.modules))"
    )
    line = [sys.executable, "-c", code, str(path)]
    run = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def with_biq2021(folder: Path, *datasets: str, **benchmark) -> dict:
    """The shipped configuration with BIQ2021, and the data sets and options of the benchmark."""
    content = shipped()
    content["datasets"]["biq"] = {"layout": "biq2021", "root": str(folder)}
    content["benchmark"] |= {"datasets": list(datasets), **benchmark}
    return content


@pytest.mark.parametrize(
    ("datasets", "benchmark", "weights", "message"),
    [
        (["biq"], {}, "packaged", "where caption.backend learned .*, found random splits; name it"),
        (["biq"], {}, "perception", "where caption.backend and extract.weights learned"),
        (["biq", "demo"], {"official": ["biq"]}, "packaged", "; set benchmark.cross false, or"),
    ],
)
def test_a_test_on_images_that_the_captioner_learned_from(
    tmp_path, datasets, benchmark, weights, message
):
    content = with_biq2021(tmp_path, *datasets, **benchmark)
    content["extract"]["weights"] = weights
    with pytest.raises(InputError, match=f"^config: biq: must be tested on .*{message}"):
        configuration.check(content)
    content["caption"]["backend"] = "rule_based"
    if weights == "packaged":
        configuration.check(content)


@pytest.mark.parametrize(
    ("datasets", "changes"),
    [
        (["biq"], {}),
        (["biq", "demo"], {"cross": False}),
        (["biq", "demo"], {"variants": ["none"], "baselines": []}),  # not tested across
    ],
)
def test_a_test_on_the_official_split_of_biq2021(tmp_path, datasets, changes):
    configuration.check(with_biq2021(tmp_path, *datasets, official=["biq"], **changes))
