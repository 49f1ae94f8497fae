"""Fine-tuning within the stage: its checkpoint scores with its own backbone."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import timm
import torch
from safetensors.torch import save_file

from rsfiqa import checkpoints, samples
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.benchmark import stage as benchmark
from rsfiqa.errors import InputError
from rsfiqa.extract import stage as extract
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.products import manifest
from rsfiqa.score.scorer import Scorer
from rsfiqa.train import backbone_training
from rsfiqa.train import stage as train
from tests.support.pipeline import EXTRACT, SEED, TEST_FRACTION, TRAIN

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def finetuned(root, options, split, tmp_path_factory):
    """The folder of a fine-tuned checkpoint."""
    output = tmp_path_factory.mktemp("finetuned") / "checkpoint"
    train.run(root / "tiny", output, options(), **split)
    return output


def weights_of(folder):
    return (folder / "model.safetensors").read_bytes()


def change(folder):
    """Return the change of each weight of the backbone by the training, float (n,)."""
    before = load_backbone("tf_efficientnet_lite0", "packaged").network.state_dict()
    after = checkpoints.read_backbone(folder, checkpoints.read(folder)[1]).network.state_dict()
    names = [name for name, value in before.items() if value.is_floating_point()]
    return torch.cat([(after[name] - before[name]).flatten() for name in names])


def cosine(first, second):
    return float(torch.nn.functional.cosine_similarity(first, second, dim=0))


def test_a_checkpoint_is_tested_and_scores_with_its_own_backbone(root, finetuned):
    model, card = checkpoints.read(finetuned)
    assert card.finetuned
    assert len(card.losses) == 1 + 3
    assert not (finetuned / "state.pt").exists()
    own = checkpoints.read_backbone(finetuned, card)
    data = samples.load(root / "tiny")
    recomputed = data.with_grid_features(own, card.backbone["long_side"])
    difference = recomputed.batch.grid_features - data.batch.grid_features.float()
    assert difference.abs().max() > 0.01  # the backbone was trained
    expected = benchmark.predict_quality(model, recomputed)
    predict, part = benchmark.predictor(
        finetuned, data, "split-00", test_fraction=TEST_FRACTION, seed=SEED
    )
    np.testing.assert_allclose(predict(data.take(part)), expected[part], atol=1e-6)
    assert np.abs(benchmark.predict_quality(model, data) - expected).max() > 1e-3
    scorer = Scorer(finetuned)
    for path, quality in zip(data.rows["path"].to_pylist()[:3], expected, strict=False):
        assert scorer.score(path).score == pytest.approx(1 + 4 * quality, abs=4e-4)


@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        "test_convnext",
        "test_efficientnet",
        "test_vit",
        "swin_tiny_patch4_window7_224",
    ],
)
def test_any_architecture_is_trained_written_and_read(tiny, options, split, name, tmp_path):
    """The checkpoint scores as the model in memory did, in another memory layout."""
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model(name, pretrained=False).state_dict(), weights)
    shutil.rmtree(tiny / "extract")
    settings = ExtractOptions(backbone=name, weights=str(weights), grid=4, augmented_views=False)
    extract.run(tiny, settings, max_failed_fraction=0.5)
    changed = options({"epochs": 1}, localization_weight=0)
    train.run(tiny, tmp_path / "stage", changed, **split, weights=str(weights))

    data = samples.load(tiny)
    parts = train.divide(data, changed, split="split-00", test_fraction=TEST_FRACTION, seed=SEED)
    _, card = checkpoints.read(tmp_path / "stage")
    model = train.make_model(parts.train, changed, "full", card.seed)
    train.train(model, parts.train, changed, seed=card.seed)
    in_memory, _ = backbone_training.train_backbone(
        model,
        load_backbone(name, str(weights)),
        parts.train,
        changed,
        folder=tiny,
        state=tmp_path / "state.pt",
        seed=card.seed,
    )
    before = load_backbone(name, str(weights)).network.state_dict()
    after = in_memory.network.state_dict()
    assert any((value != before[key]).any() for key, value in after.items())
    side = card.backbone["long_side"]
    expected = benchmark.predict_quality(model.eval(), data, in_memory.backbone, side)
    read, card = checkpoints.read(tmp_path / "stage")
    own = checkpoints.read_backbone(tmp_path / "stage", card)
    np.testing.assert_allclose(
        benchmark.predict_quality(read, data, own, side), expected, atol=2e-6
    )
    assert np.ptp(expected) > 1e-4


@pytest.mark.slow
def test_a_compiled_backbone_learns_the_same(
    root, finetuned, options, split, tmp_path, monkeypatch
):
    """Traced and called as by torch.compile, without its code generator."""
    compiled = []

    def compile_eagerly(self):
        compiled.append(self)
        self._compiled_call_impl = torch.compile(self._call_impl, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", compile_eagerly)
    train.run(root / "tiny", tmp_path, options({"compile": True}), **split)
    assert len(compiled) == 1
    assert weights_of(tmp_path) == weights_of(finetuned)


@pytest.mark.parametrize("changes", [{"workers": 1}, {"precision": "bf16"}])
def test_how_it_is_computed_changes_little(root, finetuned, options, split, tmp_path, changes):
    train.run(root / "tiny", tmp_path, options(changes), **split)
    model, _ = checkpoints.read(tmp_path)
    reference, _ = checkpoints.read(finetuned)
    if "workers" in changes:
        for name, value in reference.state_dict().items():
            assert torch.equal(value, model.state_dict()[name])
    else:
        assert 0.5 < cosine(change(tmp_path), change(finetuned)) < 0.9999


def test_micro_batches_change_the_result(root, options, split, tmp_path):
    """Correlation and ranking are those within a micro-batch.

    Without localization: a micro-batch of this size has one view with a distorted region, or none.
    """
    for number in (1, 2):
        settings = options({"micro_batches": number}, localization_weight=0)
        train.run(root / "tiny", tmp_path / str(number), settings, **split)
    assert 0.1 < cosine(change(tmp_path / "2"), change(tmp_path / "1")) < 0.999


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 6}, {"epochs": 1, "batch_size": 8}],
    ids=["in the training", "in the calibration"],
)
def test_a_training_that_diverges(root, options, split, tmp_path, changes):
    message = (
        r"^train.finetune.lr: must let the training converge, found nan in epoch \d; lower it$"
    )
    settings = options(changes)
    diverging = settings.finetune.model_copy(update={"head_lr": 1e30})
    settings = settings.model_copy(update={"finetune": diverging})
    with pytest.raises(InputError, match=message):
        train.run(root / "tiny", tmp_path, settings, **split)


@pytest.mark.parametrize("number", [3, 4])
def test_a_batch_that_cannot_be_divided_evenly(root, options, split, tmp_path, number):
    message = r"^train.finetune.batch_size: must be a multiple, at least"
    with pytest.raises(InputError, match=message):
        train.run(root / "tiny", tmp_path, options({"micro_batches": number}), **split)


def test_too_few_images_for_the_micro_batches(root, options, split, tmp_path):
    message = (
        r"^train.finetune.micro_batches: times processes \(8\) takes 16 images .* or more, found 8;"
        r" lower it$"
    )
    with pytest.raises(InputError, match=message):
        train.run(root / "tiny", tmp_path, options({"micro_batches": 8, "batch_size": 16}), **split)


def test_other_weights_than_those_of_the_features(root, options, split, tmp_path):
    other = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    save_file(other.state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"extract.weights: must be those that made the features"):
        train.run(
            root / "tiny",
            tmp_path / "out",
            options(),
            **split,
            weights=str(tmp_path / "other.safetensors"),
        )


def test_the_fingerprint_covers_everything_that_shapes_the_weights(tiny, options):
    def fingerprint(settings=TRAIN, seed=SEED):
        return backbone_training.fingerprint(samples.load(tiny), settings, seed)

    prints = {fingerprint(), fingerprint(seed=SEED + 1)}
    prints |= {fingerprint(options()), fingerprint(options({"lr": 1e-3}))}
    assert fingerprint(options({"workers": 3, "device": "cpu"})) in prints
    without_views = EXTRACT.model_copy(update={"augmented_views": False})
    extract.run(tiny, without_views, max_failed_fraction=0.2)
    prints |= {fingerprint()}
    path = tiny / "manifest.parquet"
    table, provenance = manifest.read(path)
    for name, value in {"mos": 3.0, "quality": 0.5}.items():
        index = table.schema.get_field_index(name)
        field = table.schema.field(name)
        table = table.set_column(index, field, pa.array([value] * len(table), field.type))
    manifest.write(path, table, provenance)
    prints |= {fingerprint()}
    assert len(prints) == 6
    data = samples.load(tiny)
    other_ratings = replace(data.batch, ratings=data.batch.ratings + 1)
    other_bytes = pa.array(["0" * 64] * len(data))
    index = data.rows.schema.get_field_index("sha256")
    for changed, validation in (
        (replace(data, batch=other_ratings), None),
        (replace(data, rows=data.rows.set_column(index, "sha256", other_bytes)), None),
        (data, data.take(np.arange(12) < 3)),
        (data, data.take(np.arange(12) < 4)),
    ):
        prints |= {backbone_training.fingerprint(changed, TRAIN, SEED, validation)}
    assert len(prints) == 10


def test_calibration_images_have_every_severity():
    """The names of many data sets list five severities in turn."""
    chosen = backbone_training.calibration_images(5000, seed=1)
    assert chosen.sum() == 200
    assert chosen.reshape(-1, 5).sum(0).min() > 25
    np.testing.assert_array_equal(chosen, backbone_training.calibration_images(5000, seed=1))
    assert (chosen != backbone_training.calibration_images(5000, seed=2)).any()
    assert backbone_training.calibration_images(9, seed=1).all()


SHARED = """
import sys
from pathlib import Path

import torch

from rsfiqa import samples
from rsfiqa.train import backbone_training, stage
from rsfiqa.train.finetune import Processes
from rsfiqa.train.options import TrainOptions

folder, output = map(Path, sys.argv[1:3])
options, test_fraction = TrainOptions.model_validate_json(sys.argv[3]), float(sys.argv[4])
data = samples.load(folder)
parts = stage.divide(data, options, split="split-00", test_fraction=test_fraction, seed=0)
backbone = backbone_training.load_source(parts.train, options, "packaged")
model = stage.make_model(parts.train, options, "full", 0)
finetuned, _ = backbone_training.train_backbone(
    model, backbone, parts.train, options, folder=folder, state=output / "state.pt", seed=0,
    validation=parts.validation,
)
torch.save(finetuned.state_dict(), output / f"{Processes.current().rank}.pt")
"""


def torchrun(*arguments):
    """Run a Python program in two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"validation_fraction": 0.3, "patience": 1}])
def test_two_processes_have_the_same_weights_in_the_end(root, options, changes, tmp_path):
    """Under torchrun, though each computes other images."""
    script = tmp_path / "shared.py"
    script.write_text(SHARED, "utf-8")
    settings = options(**changes).model_dump_json()
    ended = torchrun(str(script), str(root / "tiny"), str(tmp_path), settings, str(TEST_FRACTION))
    assert ended.returncode == 0, ended.stderr
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.slow
def test_the_first_process_writes_the_checkpoint(root, options, tmp_path):
    finetune = options().finetune.model_dump(include={"epochs", "batch_size", "crop"})
    small = options().model_dump(include={"min_images", "epochs", "width", "hidden"})
    values = {f"finetune.{name}": value for name, value in finetune.items()} | small
    values |= {"output": tmp_path, "test_fraction": TEST_FRACTION}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    command = ("-m", "rsfiqa", "train", str(root / "tiny"), "--finetune.enabled", *flags)
    ended = torchrun(*command)
    assert ended.returncode == 0, ended.stderr
    model, card = checkpoints.read(tmp_path)
    assert card.finetuned
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert change(tmp_path).abs().max() > 0
