"""A scorer gives the same scores whatever is done with it as a module, and wherever it goes."""

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys

import pytest
import torch
from torch import nn

from rsfiqa.errors import InputError
from rsfiqa.score.scorer import Scorer
from tests.support.pipeline import made

CHECKPOINT = "train/tiny.full/split-00"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return made(tmp_path_factory) / CHECKPOINT


@pytest.fixture(params=["frozen backbone", "fine-tuned backbone"])
def scorer(request, checkpoint):
    folder = checkpoint if request.param == "frozen backbone" else None
    return Scorer.load(folder, device="cpu")


def set_training(scorer: Scorer) -> None:
    """What code does that finds the modules by itself."""
    for module in scorer.modules():
        module.training = True


@pytest.mark.parametrize(
    "change",
    [
        lambda scorer: scorer.train(),
        lambda scorer: nn.Sequential(nn.Dropout(), scorer).train(),
        set_training,
        lambda scorer: scorer.half(),
        lambda scorer: scorer.bfloat16(),
        lambda scorer: scorer.double(),
        lambda scorer: scorer.to(torch.float16),
        lambda scorer: scorer.type(torch.float16),
        lambda scorer: scorer.to(memory_format=torch.channels_last),
        lambda scorer: scorer.requires_grad_(),
    ],
)
def test_nothing_changes_its_scores(scorer, noise, change):
    before = scorer.score(noise)
    change(scorer)
    assert scorer.score(noise) == before
    assert scorer.score(noise) == before  # batch statistics are not updated either
    scorer.float().eval()
    assert scorer.score(noise) == before
    assert not any(module.training for module in scorer.modules())


def test_it_has_no_parameters_to_train(scorer):
    assert list(scorer.parameters())
    assert not any(parameter.requires_grad for parameter in scorer.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(scorer, noise, dtype):
    expected = scorer.score(noise)
    batch = torch.from_numpy(noise).permute(2, 0, 1)[None] / 255
    with torch.autocast("cpu", dtype=dtype):
        assert scorer.score(noise) == expected
        assert scorer(batch).tolist() == pytest.approx([expected.score], abs=1e-5)


@pytest.mark.parametrize("folder", ["frozen backbone", "fine-tuned backbone"])
def test_the_default_dtype_changes_nothing(checkpoint, noise, folder):
    folder = checkpoint if folder == "frozen backbone" else None
    scorer = Scorer.load(folder, device="cpu")
    expected = pytest.approx(scorer.score(noise).score, abs=1e-5)  # torch's own sums can differ
    try:
        torch.set_default_dtype(torch.float64)
        assert scorer.score(noise).score == expected
        assert Scorer.load(folder, device="cpu").score(noise).score == expected
    finally:
        torch.set_default_dtype(torch.float32)


def test_scores_are_compared_by_their_content(scorer, noise):
    first = scorer.score(noise)
    assert first == scorer.score(noise)
    assert first != scorer.score(255 - noise)
    assert first != first.score
    assert first.regions[0] == scorer.score(noise).regions[0]


def test_copies_score_the_same(scorer, noise):
    expected = scorer.score(noise)  # everything is loaded now
    content = pickle.dumps(scorer)
    assert len(content) < 10_000  # it is loaded from its folder, not sent
    for other in (copy.deepcopy(scorer), pickle.loads(content)):
        assert other.score(noise) == expected


def test_a_copy_of_another_checkpoint_is_refused(checkpoint, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(checkpoint, folder)
    content = pickle.dumps(Scorer.load(folder, device="cpu"))
    shutil.rmtree(folder)
    shutil.copytree(checkpoint.parent / "all-00", folder)
    with pytest.raises(InputError, match=r"moved: must hold the checkpoint of the scorer copied"):
        pickle.loads(content)


@pytest.mark.slow
@pytest.mark.parametrize(
    "way",
    [
        *("threads", "fork", "load-fork", "spawn", "forkserver"),
        *("loader-fork", "loader-spawn", "loader-forkserver"),
    ],
)
def test_scores_of_other_threads_and_processes(checkpoint, way):
    """The parent computes with two threads, which do not survive a fork."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.parallel_scoring", way, str(checkpoint)],
        env=os.environ | {"OMP_NUM_THREADS": "2", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    here, there = map(json.loads, done.stdout.splitlines())
    # where the parent has ONNX Runtime and the fork torch, features differ in their last digits
    assert there == pytest.approx(here, abs=5e-4)
