"""Several data sets in one training: numbering, loss, scales."""

from dataclasses import fields, replace

import pytest
import torch

from rsfiqa.model import RSA, Batch, collate, joint_loss, quality_loss
from rsfiqa.train.fit import fit
from rsfiqa.train.sets import SetScales, TrainingSet, TrainingSets
from tests.support.tiny_model import random_batch, untrained_model


def random_sets() -> list[TrainingSet]:
    """Three sets of 5, 3 and 4 images with different numbers of regions."""
    found = []
    for seed, (images, regions) in enumerate(((5, 4), (3, 2), (4, 3))):
        views = random_batch(images, regions, seed=seed + 10).grid_features
        batch = random_batch(images, regions, seed=seed)
        found.append(TrainingSet(batch, torch.rand(images), views, -views))
    return found


def test_images_of_all_sets_have_one_numbering() -> None:
    given = random_sets()
    sets, index = TrainingSets(given), torch.tensor([11, 0, 6, 5, 4, 7, 8])
    assert len(sets) == 12
    assert sets.dataset(index).tolist() == [2, 0, 1, 1, 0, 1, 2]
    whole = collate([one.batch for one in given]).take(index)
    for part in fields(Batch):
        taken = getattr(sets.batch(index), part.name)
        expected = getattr(whole, part.name)
        torch.testing.assert_close(taken, expected, atol=0, rtol=0, equal_nan=True)
    for name in ("quality", "mirrored", "distorted"):
        expected = torch.cat([getattr(one, name) for one in given])[index]
        taken = sets.quality(index) if name == "quality" else sets.views(name, index)
        assert torch.equal(taken, expected), name


def test_a_view_that_one_set_lacks_is_not_used() -> None:
    first, second, third = random_sets()
    sets = TrainingSets([first, replace(second, mirrored=None), third])
    assert not sets.have("mirrored")
    assert sets.have("distorted")


def test_the_loss_of_a_batch_by_hand() -> None:
    """The first set is predicted exactly; the second, on its own scale of 2 q + 0.1, too."""
    predicted = torch.tensor([[0.0, 0.0, 0.5, 0.2, 1.0]])
    quality = torch.tensor([0.0, 0.1, 0.5, 0.5, 1.0])
    dataset = torch.tensor([0, 1, 0, 1, 0])
    lines = (None, torch.tensor([2.0, 0.1]))
    assert joint_loss(predicted, quality, dataset, lines).item() == pytest.approx(0, abs=1e-6)
    # Without its scale: errors of 0.1 and 0.3, less 0.05 each, in two of five images that count a
    # tenth.
    same = (None, torch.tensor([1.0, 0.0]))
    expected = (0.05 + 0.25) / 2 * 2 / 5 * 0.1
    assert joint_loss(predicted, quality, dataset, same).item() == pytest.approx(expected, abs=1e-6)


def test_images_are_not_compared_with_those_of_another_set() -> None:
    """Neither ranking nor correlation knows that the second set's images are all rated lower."""
    predicted = torch.tensor([[0.6, 0.8, 0.6, 0.8]])
    quality = torch.tensor([0.6, 0.8, 0.1, 0.3])
    shifted = (None, torch.tensor([1.0, -0.5]))
    loss = joint_loss(predicted, quality, torch.tensor([0, 0, 1, 1]), shifted)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert quality_loss(predicted, quality).item() > 0.1


def test_one_set_has_the_usual_loss() -> None:
    predicted, quality = torch.rand(2, 9), torch.rand(9)
    loss = SetScales(0).loss(predicted, quality, torch.zeros(9, dtype=torch.int64))
    torch.testing.assert_close(loss, quality_loss(predicted, quality))


def test_a_scale_is_learned() -> None:
    """Targets 0.3 + 0.4 q, which correlate with the predictions and have their order."""
    scales, predicted = SetScales(1), torch.linspace(0, 1, 32)[None]
    optimizer = torch.optim.Adam(scales.parameters(), lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        scales.loss(
            predicted, 0.3 + 0.4 * predicted[0], torch.ones(32, dtype=torch.int64)
        ).backward()
        optimizer.step()
    assert [scales.slope.item(), scales.offset.item()] == pytest.approx([0.4, 0.3], abs=0.01)


def toy(images: int, seed: int) -> tuple[Batch, torch.Tensor]:
    """Images whose quality is the sigmoid of the mean of their first channel."""
    batch = random_batch(images, seed=seed)
    shift = torch.randn(images, 1, 1, generator=torch.Generator().manual_seed(seed + 100))
    batch.grid_features[:, 0, 0] += shift
    missing = torch.full_like(batch.ratings, torch.nan)
    return replace(batch, ratings=missing), batch.grid_features[:, 0, 0].mean((1, 2)).sigmoid()


def trained(added: list[TrainingSet]) -> RSA:
    model = untrained_model()
    first, quality = toy(16, seed=0)
    fit(model, first, quality, epochs=20, batch_size=16, lr=1e-2, ema=0.8, added=added)
    return model


def test_an_added_set_improves_the_model_and_leaves_its_scale() -> None:
    more, quality = toy(128, seed=1)
    unseen, target = toy(128, seed=2)
    alone, joint = trained([]), trained([TrainingSet(more, 0.1 + 0.3 * quality)])
    found = []
    with torch.inference_mode():
        for model in (alone, joint):
            score = model(unseen).quality
            found.append(torch.corrcoef(torch.stack([score, target]))[0, 1].item())
        first, own = toy(16, seed=0)
        score = joint(first).quality
    assert found[1] > found[0] + 0.05
    # calibrated on the first set alone, whose mean is 0.5, not on the added one's 0.25
    assert score.mean().item() == pytest.approx(own.mean().item(), abs=1e-4)
    assert joint.mean_quality.item() == pytest.approx(own.mean().item())


def test_a_training_on_several_sets_is_reproducible() -> None:
    more, quality = toy(32, seed=1)
    first, second = (trained([TrainingSet(more, quality)]) for _ in range(2))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    assert "slope" not in " ".join(first.state_dict())  # scales of sets are no part of the model
