"""Examples, models and figures are compared with the configuration by their own records."""

import copy
import shutil

import pytest

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.io.json_files import read_json
from rsfiqa.products.paths import stats_path
from rsfiqa.teach import evaluate, train
from rsfiqa.teach.options import TeachTrainOptions, recorded_captioner
from rsfiqa.workflow import configuration
from rsfiqa.workflow.outdated import Outdated
from tests.support.completion_server import MODEL, Server
from tests.support.teach import make_examples
from tests.support.workflow import ROOT

QUICK = {"epochs": 0.1, "precision": "fp32", "gradient_accumulation_steps": 1}
RULE_BASED = CaptionOptions(backend="rule_based")
pytestmark = pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")


@pytest.fixture(scope="module")
def config(tiny_model):
    """The configuration of which `folder` holds the examples, and `finetuned` the model."""
    config = configuration.read(ROOT / "config.yaml")
    config["teach"]["datasets"] = ["kodak"]
    config["teach"]["data"] |= {"views": 5, "validation_fraction": 0.5}
    config["teach"]["train"] |= QUICK | {"model": str(tiny_model)}
    return config


@pytest.fixture(scope="module")
def finetuned(folder, config, tmp_path_factory):
    """A folder of examples with figures of the rule-based captioner and a trained model."""
    place = shutil.copytree(folder, tmp_path_factory.mktemp("results") / "teach")
    options = TeachTrainOptions(**config["teach"]["train"])
    train.run(place, place / "finetuned", options, seed=0)
    evaluate.run(place, "test", RULE_BASED, name="rule_based")
    return place


def changed(config, section, **changes):
    other = copy.deepcopy(config)
    (other["teach"][section] if section else other["teach"]).update(changes)
    return Outdated(other)


@pytest.mark.parametrize(
    ("section", "changes", "difference"),
    [
        (None, {}, ""),
        ("data", {"test_fraction": 0.5}, "test_fraction was 0.1, is 0.5"),
        ("data", {"validation_fraction": 0.0}, "validation_fraction was 0.5, is 0.0"),
        ("data", {"views": 6}, "views was 5, is 6"),
        (None, {"datasets": ["demo"]}, "datasets was ['kodak'], is ['demo']"),
    ],
)
def test_examples_are_compared(folder, config, section, changes, difference):
    assert changed(config, section, **changes).examples(folder / "data.json") == difference


def test_parts_that_are_missing_are_noticed(photographs, config, tmp_path):
    make_examples(tmp_path, photographs, parts=("test",))
    difference = "parts was ['test'], is ['test', 'train', 'validation']"
    assert Outdated(config).examples(tmp_path / "data.json") == difference


def test_the_fine_tuned_model_is_compared(finetuned, config, tiny_model, tmp_path):
    card = finetuned / "finetuned/teach.json"
    assert Outdated(config).finetuned(card) == ""
    moved = shutil.copytree(tiny_model, tmp_path / "moved")
    assert changed(config, "train", model=str(moved)).finetuned(card) == ""
    (moved / "config.json").write_text("{}")
    for other in (str(moved), "owner/name", None):
        difference = changed(config, "train", model=other).finetuned(card)
        assert difference == "the model that it was fine-tuned from was another one"
    assert changed(config, "train", rank=2).finetuned(card) == "rank was 16, is 2"


def test_figures_are_compared(finetuned, config):
    path = finetuned / "tests/rule_based.test.json"
    check = Outdated(config).figures
    assert check(path, RULE_BASED) == ""
    other = RULE_BASED.model_copy(update={"long_side": 512})
    assert check(path, other) == "long_side was 1024, is 512"
    assert check(path, CaptionOptions()) == "backend was rule_based, is classifier"


def test_figures_of_a_model_are_compared(finetuned, config):
    path = finetuned / "tests/model.test.json"
    with Server() as server:
        options = CaptionOptions(backend="vllm", model=MODEL, endpoints=(server.url,))
        evaluate.run(finetuned, "test", options, name="model")
    check = Outdated(config).figures
    assert read_json(stats_path(path))["model"] == MODEL
    assert check(path, options.model_copy(update={"attempts": 2})) == ""  # it has but one
    assert check(path, options.model_copy(update={"model": "x"})) == f"model was {MODEL}, is x"
    stats_path(path).unlink()
    assert check(path, options) == "it does not record how it was made"


def test_other_images_outdate_figures_and_models(finetuned, photographs, config, tmp_path):
    place = shutil.copytree(finetuned, tmp_path / "teach")
    make_examples(place, photographs, max_pixels=4096)
    outdated = Outdated(config)
    figures = place / "tests/rule_based.test.json"
    assert outdated.figures(figures, RULE_BASED) == "test.jsonl has changed"
    assert outdated.finetuned(place / "finetuned/teach.json") == "train.jsonl has changed"


def test_a_model_in_a_folder_is_known_by_its_files(tiny_model, tmp_path):
    served = [
        CaptionOptions(backend="vllm", model=str(folder), server={"weights": str(folder)})
        for folder in (tiny_model, tmp_path)
    ]
    assert recorded_captioner(served[0]) == recorded_captioner(served[1])
    assert Outdated({}).figures(tmp_path / "none.json", served[0]) == ""
