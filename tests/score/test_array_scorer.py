"""Scores without torch are those with it."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rsfiqa import checkpoints
from rsfiqa.backbones import onnx
from rsfiqa.datasets import demo
from rsfiqa.errors import InputError
from rsfiqa.images.load import LoadedImage
from rsfiqa.model import RSA, Batch
from rsfiqa.region_layout import RegionLayout
from rsfiqa.runtime import gpus
from rsfiqa.score import array_scorer, loading
from rsfiqa.score.array_model import ArrayModel
from rsfiqa.score.array_scorer import ArrayScorer
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.scorer import Scorer
from rsfiqa.vocabulary import VARIANTS
from tests.score.test_packaged import SCORES
from tests.support.scoring import command

pytest.importorskip("onnxruntime", reason="needs the extra onnx")

OPTIONS = ScoreOptions(device="cpu")
CHANNELS, GRID, REGIONS = (4, 6, 10), 4, 5


@pytest.fixture(scope="module")
def scorer() -> ArrayScorer:
    return ArrayScorer(checkpoints.PACKAGED, OPTIONS)


@pytest.fixture(scope="module")
def reference() -> Scorer:
    return Scorer.load(device="cpu", runtime="torch")


def loaded(pixels: np.ndarray) -> LoadedImage:
    return LoadedImage(pixels, pixels.shape[1::-1], converted=False)


def bordered() -> np.ndarray:
    """A photograph with black bars, of which only the inside is scored."""
    return np.pad(demo.photograph("skimage/data/coffee.png"), ((60, 60), (0, 0), (0, 0)))


@pytest.mark.parametrize("name", [*SCORES, "bordered", "tiny", "flat"])
def test_scores_and_reasons_are_those_of_torch(scorer, reference, name):
    pixels = {
        "bordered": bordered,
        "tiny": lambda: demo.photograph("skimage/data/chelsea.png")[:9, :14],
        "flat": lambda: np.full((70, 90, 3), 128, np.uint8),
    }.get(name, lambda: demo.photograph(name))()
    found, expected = (each.score_loaded(loaded(pixels)) for each in (scorer, reference))
    assert found.score == pytest.approx(expected.score, abs=0.05)
    assert found.reason == expected.reason
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.attention_grid, expected.attention_grid, atol=1e-4)
    np.testing.assert_allclose(found.cost_grid, expected.cost_grid, atol=0.05)
    for own, torchs in zip(found.regions, expected.regions, strict=True):
        assert (own.box, own.text, own.distortions) == (torchs.box, torchs.text, torchs.distortions)
        assert own.score == pytest.approx(torchs.score, abs=0.05)
        assert own.ratings == pytest.approx(torchs.ratings, abs=0.01)
        assert own.cost == pytest.approx(torchs.cost, abs=0.05)


def test_the_region_that_was_given_is_scored(scorer, reference):
    pixels = demo.photograph("skimage/data/coffee.png")
    mask = np.zeros(pixels.shape[:2], bool)
    mask[100:200, 50:300] = True
    found, expected = (
        each.score_loaded(loaded(pixels), mask=mask).inside for each in (scorer, reference)
    )
    assert found is not None
    assert expected is not None
    assert found.score == pytest.approx(expected.score, abs=0.05)
    assert found.text == expected.text


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("added", [{}, {"anchored": True, "caption_scale": 0.5}])
def test_the_model_predicts_what_rsa_does(variant, added):
    settings = {"stage_channels": CHANNELS, "text_dim": 0, "width": 8, "hidden": 16}
    settings |= {"ensemble_heads": 3, "variant": variant, **added}
    torch.manual_seed(0)
    model = RSA(**settings).eval()
    state = model.state_dict()
    for name, value in state.items():  # the initial ones are zero in places
        state[name] = value + 0.3 * torch.rand_like(value)
    model.load_state_dict(state)
    random = np.random.default_rng(0)
    features = random.uniform(0, 2, (2, sum(CHANNELS), GRID, GRID)).astype(np.float32)
    coverage = random.dirichlet(np.ones(REGIONS), GRID * GRID).T.astype(np.float32)
    coverage[coverage < 0.05] = 0
    coverage[-1] = 0  # a region too small for the grid
    geometry = random.uniform(-1, 1, (REGIONS, 7)).astype(np.float32)
    ratings = random.uniform(1, 5, (REGIONS, 5)).astype(np.float32)
    ratings[2] = np.nan
    layout = RegionLayout(coverage, geometry, np.ones(REGIONS, bool))
    batch = Batch(
        grid_features=torch.from_numpy(features)[None],
        coverage=torch.from_numpy(coverage)[None],
        text=torch.zeros(1, REGIONS, 0),
        ratings=torch.from_numpy(ratings)[None],
        geometry=torch.from_numpy(geometry)[None],
        present=torch.ones(1, REGIONS, dtype=torch.bool),
    )
    with torch.inference_mode():
        expected = model(batch, by_captions=True)
    own = {name: value.numpy() for name, value in state.items()}
    found = ArrayModel(own, settings).predict(features, layout, ratings)
    for name in ("quality", "region_quality", "region_weight", "attention", "quality_map"):
        one, other = getattr(found, name), getattr(expected, name)[0].numpy()
        # a few units in the last place of float32, which processors sum in different orders
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-5, err_msg=name)


def test_the_command_scores_without_torch(tmp_path):
    Image.fromarray(demo.photograph("skimage/data/chelsea.png")).save(tmp_path / "a.png")
    code = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(('torch', 'timm', 'sklearn', 'scipy', 'pandas'))\n"
        "from rsfiqa import cli\n"
        f"sys.exit(cli.main(['score', {str(tmp_path / 'a.png')!r}, '--device', 'cpu']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    score = SCORES["skimage/data/chelsea.png"]
    assert float(done.stdout.split()[0]) == pytest.approx(score, abs=0.05)


def test_other_checkpoints_and_options_are_for_torch(monkeypatch):
    card, _ = checkpoints.read_card(checkpoints.PACKAGED)
    assert array_scorer.is_suited(card, OPTIONS)
    assert array_scorer.is_suited(replace(card, caption={"backend": "rule_based"}), OPTIONS)
    for change in (
        {"encoder": {"encoder": "packaged-minilm"}},
        {"backbone": card.backbone | {"backbone": "resnet18"}},
        {"backbone": card.backbone | {"sha256": "0" * 64}},
        {"caption": card.caption | {"sha256": "0" * 64}},
        {"caption": {"backend": "vllm"}},
        {"segment": card.segment | {"backend": "sam"}},
    ):
        assert not array_scorer.is_suited(replace(card, **change), OPTIONS)
    for given in ({"runtime": "torch"}, {"device": "cuda"}, {"weights": "hub"}):
        options = OPTIONS.model_copy(update=given)
        assert not array_scorer.is_suited(card, options)
    auto = OPTIONS.model_copy(update={"device": "auto"})
    assert array_scorer.is_suited(card, auto) != gpus.may_exist()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert not array_scorer.is_suited(card, OPTIONS)


def test_torch_scores_where_it_is_asked_for():
    options = OPTIONS.model_copy(update={"runtime": "torch"})
    assert isinstance(loading.load(checkpoints.PACKAGED, options), Scorer)
    assert isinstance(loading.load(checkpoints.PACKAGED, OPTIONS), ArrayScorer)


def test_weights_that_do_not_fit_their_card_are_refused(tmp_path):
    folder = tmp_path / "checkpoint"
    model, card = checkpoints.read(checkpoints.PACKAGED)
    split = checkpoints.SPLIT.empty_table()
    checkpoints.write(
        folder, model, replace(card, model=card.model | {"stage_channels": (16, 24)}), split
    )
    with pytest.raises(InputError, match=r"must describe a model of this version, found .*again$"):
        ArrayScorer(folder, OPTIONS)


def test_a_fine_tuned_backbone_is_run_beside_the_captioners(tmp_path):
    folder: Path = tmp_path / "checkpoint"
    model, card = checkpoints.read(checkpoints.PACKAGED)
    network = Scorer.load(device="cpu", runtime="torch").stages
    with torch.no_grad():
        network.conv_stem.weight *= 1.01
    split = checkpoints.SPLIT.empty_table()
    checkpoints.write(folder, model, replace(card, finetuned=True), split, network)
    found = ArrayScorer(folder, OPTIONS).score_loaded(loaded(bordered()))
    expected = Scorer.load(folder, device="cpu", runtime="torch").score_loaded(loaded(bordered()))
    assert found.score == pytest.approx(expected.score, abs=0.05)
    assert found.reason == expected.reason


def test_a_fine_tuned_backbone_without_weights_is_refused(tmp_path):
    """The captioner's weights, of the same network, do not stand in for those that are missing."""
    folder = tmp_path / "checkpoint"
    model, card = checkpoints.read(checkpoints.PACKAGED)
    split = checkpoints.SPLIT.empty_table()
    checkpoints.write(folder, model, replace(card, finetuned=True), split)
    with pytest.raises(InputError, match=r"^backbone: must have the weights of .*, found others"):
        ArrayScorer(folder, OPTIONS)


def test_memory_that_runs_out_is_said_in_one_line(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from rsfiqa import checkpoints\n"
        "from rsfiqa.score.array_scorer import ArrayScorer\n"
        "from rsfiqa.score.options import ScoreOptions\n"
        "from rsfiqa.score.rows import score_file\n"
        "scorer = ArrayScorer(checkpoints.PACKAGED, ScoreOptions(device='cpu'))\n"
        "pages = int(Path('/proc/self/statm').read_text().split()[0])\n"
        "limit = pages * resource.getpagesize() + 60 * 2**20\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))\n"
        "print(score_file(sys.argv[1], scorer, 'x')[0]['reason'])"
    )
    line = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("not enough memory\n", "")


def test_a_gpu_runs_the_backbone_by_torch_whatever_the_runtime(reference, caplog):
    gpu = torch.device("cuda")
    with caplog.at_level("WARNING", "rsfiqa"):
        assert onnx.as_onnx(reference.own_backbone, "onnx", gpu) is None
        assert onnx.as_onnx(reference.own_backbone, "auto", gpu) is None
    lines = ["--runtime: onnx is for a CPU; torch runs the backbone on cuda"]
    assert [record.getMessage() for record in caplog.records] == lines


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
def test_processes_are_forked_and_end_with_the_command(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3)).astype(np.uint8)
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths):
        Image.fromarray(np.roll(noise, number, 0)).save(path)
    words = [tmp_path, "--device=cpu", "--workers=2", "-o", tmp_path / "s.jsonl"]
    with command(*words, stdin=subprocess.DEVNULL) as process:
        own, children = Path(f"/proc/{process.pid}"), list[str]()
        while process.poll() is None and len(children) < 2:
            time.sleep(0.005)
            children = (own / f"task/{process.pid}/children").read_text("ascii").split()
        lines = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
        assert lines == [(own / "cmdline").read_bytes()] * 2  # a spawned one has another
        process.kill()
        process.communicate()
    for child in children:
        gone = Path(f"/proc/{child}")
        deadline = time.monotonic() + 30
        while gone.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not gone.exists()
