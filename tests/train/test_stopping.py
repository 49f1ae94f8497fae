"""The best epoch by a judge whose verdicts are known."""

import torch
from torch import nn

from rsfiqa.model import RSA, Batch
from rsfiqa.train.fit import fit
from rsfiqa.train.stopping import BestEpoch


def run(verdicts: list[float], patience: int) -> tuple[BestEpoch, int]:
    """What is kept of a module whose weight is the number of the epoch, and when it stops."""
    module = nn.Linear(1, 1, bias=False)
    given = iter(verdicts)
    best = BestEpoch(lambda _: next(given), patience)
    for epoch in range(1, len(verdicts) + 1):
        nn.init.constant_(module.weight, epoch)
        if best.stop(module):
            break
    return best, epoch


def test_the_best_is_kept_and_patience_ends() -> None:
    best, last = run([0.1, 0.5, 0.4, 0.5, 0.3, 0.9], patience=3)
    assert (best.epoch, last) == (2, 5)  # the first of equals; 0.9 is never seen
    assert best.best["weight"].item() == 2


def test_it_does_not_stop_while_it_gets_better() -> None:
    best, last = run([0.1, 0.0, 0.2, 0.1, 0.3], patience=2)
    assert (best.epoch, last) == (5, 5)


def test_a_fit_stops_and_keeps_the_best_weights() -> None:
    """The verdicts are known, so that the third epoch is the best and the fifth the last."""
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
    verdicts = iter([0.1, 0.2, 0.9, 0.3, 0.4, 1.0])
    seen = []

    def judge(found: RSA) -> float:
        seen.append({name: value.clone() for name, value in found.state_dict().items()})
        return next(verdicts)

    model = RSA(stage_channels=(3, 4), text_dim=5, width=8, ensemble_heads=2, hidden=8)
    losses = fit(model, data, quality, epochs=6, batch_size=4, best=BestEpoch(judge, 2))
    assert len(losses) == len(seen) == 5
    kept = model.state_dict()
    assert all(torch.equal(kept[name], seen[2][name]) for name in kept if name != "line")
    assert any((kept[name] != seen[4][name]).any() for name in kept if name != "line")


def test_it_goes_on_from_what_was_seen() -> None:
    first, _ = run([0.1, 0.5], patience=2)
    second = BestEpoch(lambda _: 0.4, 2)
    second.load_state_dict(first.state_dict())
    module = nn.Linear(1, 1, bias=False)
    assert not second.over
    assert [second.stop(module), second.stop(module)] == [False, True]
    assert second.over
    assert second.best["weight"].item() == 2


def test_the_judge_sees_it_without_dropout_and_leaves_its_mode() -> None:
    module = nn.Dropout(0.5).train()
    seen = []

    def judge(found: nn.Module) -> float:
        seen.append(found(torch.ones(100)).eq(1).all().item())
        return 0.0

    BestEpoch(judge, 1).stop(module)
    assert seen == [True]
    assert module.training
