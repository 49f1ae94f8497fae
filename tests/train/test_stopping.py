"""The best epoch by a metric whose values are known."""

import torch
from torch import nn

from rsfiqa.model import RSA, Batch
from rsfiqa.train.fit import fit
from rsfiqa.train.stopping import BestEpoch


def run(metrics: list[float], patience: int) -> tuple[BestEpoch[nn.Linear], int]:
    """The best epoch of a module whose weight is the number of the epoch, and the last epoch."""
    module = nn.Linear(1, 1, bias=False)
    values = iter(metrics)
    best: BestEpoch[nn.Linear] = BestEpoch(lambda _: next(values), patience)
    for epoch in range(1, len(metrics) + 1):
        nn.init.constant_(module.weight, epoch)
        if best.update(module):
            break
    return best, epoch


def test_the_best_weights_are_kept_and_training_stops() -> None:
    best, last = run([0.1, 0.5, 0.4, 0.5, 0.3, 0.9], patience=3)
    assert (best.epoch, last) == (2, 5)  # the first of equal ones; 0.9 is not reached
    assert best.weights["weight"].item() == 2


def test_training_goes_on_while_the_metric_improves() -> None:
    best, last = run([0.1, 0.0, 0.2, 0.1, 0.3], patience=2)
    assert (best.epoch, last) == (5, 5)


def test_fit_stops_and_keeps_the_best_weights() -> None:
    """By the given metrics the third epoch is the best and the fifth the last."""
    random = torch.Generator().manual_seed(0)
    data = Batch(
        grid_features=torch.rand(8, 2, 7, 2, 2, generator=random),
        coverage=torch.full((8, 2, 4), 0.5),
        text=torch.rand(8, 2, 5, generator=random),
        ratings=torch.full((8, 2, 5), 3.0),
        geometry=torch.rand(8, 2, 7, generator=random),
        present=torch.ones(8, 2, dtype=torch.bool),
    )
    quality = torch.linspace(0, 1, 8)
    metrics = iter([0.1, 0.2, 0.9, 0.3, 0.4, 1.0])
    evaluated = []

    def evaluate(model: RSA) -> float:
        evaluated.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(metrics)

    model = RSA(stage_channels=(3, 4), text_dim=5, width=8, ensemble_heads=2, hidden=8)
    losses = fit(model, data, quality, epochs=6, batch_size=4, best=BestEpoch(evaluate, 2))
    assert len(losses) == len(evaluated) == 5
    kept = model.state_dict()
    kept.pop("calibration")  # fitted afterwards
    assert all(torch.equal(value, evaluated[2][name]) for name, value in kept.items())
    assert any((value != evaluated[4][name]).any() for name, value in kept.items())


def test_its_state_is_restored() -> None:
    first, _ = run([0.1, 0.5], patience=2)
    second: BestEpoch[nn.Linear] = BestEpoch(lambda _: 0.4, 2)
    second.load_state_dict(first.state_dict())
    module = nn.Linear(1, 1, bias=False)
    assert not second.should_stop
    assert [second.update(module), second.update(module)] == [False, True]
    assert second.should_stop
    assert second.weights["weight"].item() == 2


def test_a_module_is_evaluated_without_dropout_and_keeps_its_mode() -> None:
    module = nn.Dropout(0.5).train()
    unchanged = []

    def evaluate(module: nn.Module) -> float:
        unchanged.append(module(torch.ones(100)).eq(1).all().item())
        return 0.0

    BestEpoch(evaluate, 1).update(module)
    assert unchanged == [True]
    assert module.training
