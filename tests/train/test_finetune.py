"""Fine-tuning: it resumes to the same weights, and divides batches as it should."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from rsfiqa.errors import InputError
from rsfiqa.model import Batch, Prediction, quality_loss, with_layouts
from rsfiqa.splits import seed_of
from rsfiqa.train.crops import Crop, CropDataset
from rsfiqa.train.finetune import BatchSchedule, Processes, batch_loss, finetune
from rsfiqa.train.finetuned_model import FinetunedModel
from rsfiqa.train.options import TrainOptions
from rsfiqa.train.stopping import BestEpoch

SEED = 3


class EndedError(Exception):
    """Raised to end a training early."""


@pytest.fixture
def tune(setup, tmp_path) -> Callable[..., list[float]]:
    """A function that fine-tunes a model on the training images."""

    def call(model: FinetunedModel, options: TrainOptions, **arguments) -> list[float]:
        return finetune(
            model,
            arguments.pop("data", setup.train_data),
            setup.folder,
            options,
            **{
                "seed": SEED,
                "state": tmp_path / "state.pt",
                "fingerprint": "same",
                "long_side": 1024,
            }
            | arguments,
        )

    return call


def assert_same_weights(first: torch.nn.Module, second: torch.nn.Module) -> None:
    other = second.state_dict()
    for name, value in first.state_dict().items():
        assert torch.equal(value, other[name]), name


def end_at(model: FinetunedModel, step: int, error: type[BaseException]) -> None:
    """Make the model raise an error in its forward pass of this step, from 1."""
    steps = count(1)

    def hook(*_) -> None:
        if next(steps) == step:
            raise error

    model.register_forward_pre_hook(hook)


@pytest.mark.parametrize("validated", [False, True])
def test_a_killed_training_resumes_to_the_same_weights(
    setup, options, tune, validated, tmp_path, caplog
):
    caplog.set_level("INFO", "rsfiqa")
    settings = options({"batch_size": 2} if validated else {})

    def best() -> BestEpoch[FinetunedModel] | None:
        if not validated:
            return None
        return BestEpoch(
            lambda m: -m.network.conv_stem.weight.detach().abs().sum().item(), patience=2
        )

    killed, resumed, whole = (setup.model() for _ in range(3))
    end_at(killed, 6, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        tune(killed, settings, best=best(), save_every=1)
    assert (tmp_path / "state.pt").is_file()
    losses = tune(resumed, settings, best=best(), save_every=1)
    assert caplog.text.count("the training resumes after step 5") == 1
    assert tune(whole, settings, best=best(), state=tmp_path / "other.pt") == losses
    assert_same_weights(resumed, whole)


def test_a_training_killed_after_its_last_step_does_not_go_on(setup, options, tune):
    settings = options({"epochs": 6, "batch_size": 2})
    metrics = iter([0.5, 0.4, 0.9])  # training stops after two epochs
    first, second = setup.model(), setup.model()
    best = BestEpoch(lambda _: next(metrics), 1)
    assert len(tune(first, settings, best=best, save_every=1)) == 2
    rising = count()  # would never stop
    best = BestEpoch(lambda _: next(rising), 1)
    assert len(tune(second, settings, best=best, save_every=1)) == 2
    assert_same_weights(first, second)


def test_the_state_of_another_training_is_ignored(setup, options, tune, tmp_path, caplog):
    other, ignoring, whole = (setup.model() for _ in range(3))
    tune(other, options({"lr": 1e-3}), fingerprint="other", save_every=1)
    assert (tmp_path / "state.pt").is_file()
    tune(ignoring, options())
    assert "of another training" in caplog.text
    tune(whole, options(), state=tmp_path / "none.pt")
    assert_same_weights(ignoring, whole)


def test_a_damaged_state_is_ignored(setup, options, tune, tmp_path, caplog):
    (tmp_path / "state.pt").write_bytes(b"not a state")
    damaged, whole = setup.model(), setup.model()
    tune(damaged, options({"epochs": 1}))
    assert "or damaged" in caplog.text
    tune(whole, options({"epochs": 1}), state=tmp_path / "none.pt")
    assert_same_weights(damaged, whole)


def test_a_step_takes_the_mean_gradient_of_its_micro_batches(setup, options, tune):
    settings = options({"epochs": 1, "micro_batches": 2}, localization_weight=0)
    data, model, reference = setup.train_data, setup.model(), setup.model()
    accumulated: dict[str, list[torch.Tensor]] = {}
    for name, weight in model.network.named_parameters():
        weight.register_post_accumulate_grad_hook(
            lambda w, name=name: accumulated.setdefault(name, []).append(w.grad.clone())
        )
    tune(model, settings)

    schedule = BatchSchedule.of(settings, images=len(data), seed=SEED, processes=Processes(0, 1))
    crops = CropDataset(data, setup.folder, side=48, long_side=1024, seed=SEED)
    items = [crops[key] for key in next(iter(schedule))]
    assert len(items) == 4
    weights = dict(reference.network.named_parameters())
    reference.train()
    torch.manual_seed(seed_of(SEED, 0, 0))  # of dropout
    gradients = []
    for part in (items[:2], items[2:]):
        index = torch.tensor([i for i, _ in part])
        chosen = [crop for _, crop in part]
        batch = with_layouts(data.batch.take(index), chosen)
        quality = torch.from_numpy(data.quality)[index]
        loss = batch_loss(reference, chosen, batch, quality, 0)
        gradients.append(torch.autograd.grad(loss, list(weights.values())))
    for name, first, second in zip(weights, *gradients, strict=True):
        assert len(accumulated[name]) == 4  # two steps
        torch.testing.assert_close(accumulated[name][1], (first + second) / 2)
    assert any((first != second).any() for first, second in zip(*gradients, strict=True))


def test_the_loss_of_a_distorted_region():
    """By hand: the other region dropped by 0.1, ten e-folds; its cross-entropy is ln(1 + e**10)."""
    images = [np.full((3, 4, 4), i, np.uint8) for i in range(4)]
    crops = [
        Crop(images[i], *[np.zeros(0)] * 3, distorted=images[3] if i == 1 else None, region=i - 1)
        for i in range(3)
    ]
    present = torch.tensor([[True, True, False]] * 2 + [[True, False, False]])
    batch = Batch(
        grid_features=torch.zeros(3, 2, 1, 1, 1),
        coverage=torch.zeros(3, 3, 1),
        text=torch.zeros(3, 3, 0),
        ratings=torch.zeros(3, 3, 5),
        geometry=torch.zeros(3, 3, 7),
        present=present,
    )

    class Model(torch.nn.Module):
        def forward(self, pixels, given, distorted):
            assert [image.max() for image in pixels] == [0, 1, 2]
            assert [(index, image.max()) for index, image in distorted.items()] == [(1, 3)]
            assert given is batch
            none = torch.zeros(3)
            head_quality = torch.tensor([[0.1, 0.7, 0.3]])
            drop = torch.tensor([[0, 0.1, 0]])
            return Prediction(none, none, none, none, none, none, head_quality), drop

    quality = torch.tensor([0.1, 0.9, 0.4])
    expected = quality_loss(torch.tensor([[0.1, 0.7, 0.3]]), quality) + 0.3 * np.log1p(np.exp(10))
    torch.testing.assert_close(batch_loss(Model(), crops, batch, quality, 0.3), expected)


@pytest.mark.parametrize(
    ("weight", "variant", "distorted"),
    [(0.3, "full", True), (0, "full", False), (0.3, "no_rsa", False)],
)
def test_regions_are_distorted_where_the_model_can_localize_them(
    setup, options, tune, weight, variant, distorted
):
    model = setup.model(variant)

    def hook(_, arguments) -> None:
        pixels, _, views = arguments
        assert len(views) == (len(pixels) if distorted else 0)
        raise EndedError

    model.register_forward_pre_hook(hook)
    with pytest.raises(EndedError):
        tune(model, options(localization_weight=weight), distorted_every=1)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_missing_image_is_an_error_of_one_line(setup, options, tune, workers):
    rows = setup.train_data.rows
    paths = pa.array([f"/missing/{Path(path).name}" for path in rows["path"].to_pylist()])
    rows = rows.set_column(rows.schema.get_field_index("path"), "path", paths)
    data = replace(setup.train_data, rows=rows)
    message = r"^/missing/.*: .*; prepare the data set again$"
    with pytest.raises(InputError, match=message) as error:
        tune(setup.model(), options({"workers": workers}), data=data)
    assert "\n" not in str(error.value)


def test_each_image_is_in_one_batch_of_an_epoch(options):
    settings = options({"batch_size": 8, "micro_batches": 2})
    shared = [
        BatchSchedule.of(settings, images=27, seed=0, processes=Processes(rank, 2))
        for rank in range(2)
    ]
    first, second = map(list, shared)
    assert len(first) == len(shared[0]) == 3 * 3
    for epoch in range(3):
        steps = slice(3 * epoch, 3 * epoch + 3)
        keys = [key for batch in first[steps] + second[steps] for key in batch]
        assert {number for number, _ in keys} == {epoch}
        assert len({index for _, index in keys}) == len(keys) == 24
    assert list(shared[0].after(4)) == first[4:]
    assert len(shared[0].after(4)) == 5
