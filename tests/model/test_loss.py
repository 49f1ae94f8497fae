"""The parts of the loss against values worked out by hand, and scipy."""

import math

import pytest
import torch
from scipy import stats

from rsfiqa.model import LossWeights, localization_loss, plcc_loss, quality_loss, ranking_loss

QUALITY = torch.tensor([0.0, 0.5, 1.0])


def test_plcc_loss_is_that_of_scipy() -> None:
    torch.manual_seed(0)
    predicted, quality = torch.rand(2, 30), torch.rand(30)
    expected = [(1 - stats.pearsonr(row, quality).statistic) / 2 for row in predicted.numpy()]
    torch.testing.assert_close(
        plcc_loss(predicted, quality), torch.tensor(expected), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(("slope", "expected"), [(3.0, 0.0), (-0.1, 1.0), (0.0, 0.5)])
def test_plcc_loss_of_lines(slope: float, expected: float) -> None:
    assert plcc_loss(slope * QUALITY + 7, QUALITY).item() == pytest.approx(expected, abs=1e-5)


def test_plcc_loss_of_equal_targets_is_finite() -> None:
    predicted = QUALITY.clone().requires_grad_()
    plcc_loss(predicted, torch.full((3,), 0.5)).backward()
    assert predicted.grad is not None
    assert predicted.grad.isfinite().all()


def test_ranking_loss_by_hand() -> None:
    # Pairs (0.5, 0), (1, 0), (1, 0.5) should be 0.1 apart and are -0.1, 0.05, 0.15 apart.
    predicted = torch.tensor([0.1, 0.0, 0.15])
    assert ranking_loss(predicted, QUALITY).item() == pytest.approx((2.0 + 0.5 + 0.0) / 3)
    assert ranking_loss(QUALITY, QUALITY).item() == 0
    assert ranking_loss(predicted, torch.full((3,), 0.5)).item() == 0


def test_close_pairs_count_in_proportion() -> None:
    # The pair's quality differs by 0.04 and the predictions do not: 0.04 of 0.1 is missing.
    loss = ranking_loss(torch.tensor([0.3, 0.3]), torch.tensor([0.50, 0.54]))
    assert loss.item() == pytest.approx(0.4)


def test_quality_loss_adds_its_parts() -> None:
    predicted = torch.tensor([[0.1, 0.0, 0.15], [0.0, 0.5, 1.0]])
    weights = LossWeights(plcc=2, ranking=3, smooth_l1=5, margin=0.1, beta=0.1)
    # Errors 0.1, 0.5, 0.85 of the first head: 0.05, 0.45 and 0.80 with beta 0.1.
    error = (0.05 + 0.45 + 0.80) / 6
    plcc = (1 - stats.pearsonr(predicted[0].numpy(), QUALITY.numpy()).statistic) / 4
    expected = 5 * error + 2 * plcc + 3 * (2.5 / 3) / 2
    assert quality_loss(predicted, QUALITY, weights).item() == pytest.approx(expected, abs=1e-5)
    assert quality_loss(QUALITY, QUALITY).item() == pytest.approx(0, abs=1e-6)


def test_localization_loss_by_hand() -> None:
    # drops of 2 and 0 times the scale, then one region alone; the third region of each is absent
    drop = torch.tensor([[0.2, 0.0, 9.0], [0.0, 0.0, 0.0]])
    present = torch.tensor([[True, True, False], [True, False, False]])
    loss = localization_loss(drop, torch.tensor([0, 0]), present, scale=0.1)
    assert loss.item() == pytest.approx(math.log1p(math.exp(-2)) / 2)
    wrong = localization_loss(drop[:1], torch.tensor([1]), present[:1], scale=0.1)
    assert wrong.item() == pytest.approx(2 + math.log1p(math.exp(-2)))


def test_localization_loss_ignores_what_is_common_to_all_regions() -> None:
    drop = torch.tensor([[0.02, 0.0, 5.0], [0.0, 0.01, 0.03]])
    present = torch.tensor([[True, True, False], [True, True, True]])
    region = torch.tensor([0, 1])
    common = torch.tensor([[0.4], [-0.7]])
    torch.testing.assert_close(
        localization_loss(drop + common, region, present),
        localization_loss(drop, region, present),
    )
