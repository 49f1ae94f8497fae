"""The recipe of the perception: its examples, its losses and a training that is killed."""

import numpy as np
import pytest
import torch

from recipes import perception
from recipes.perception_examples import FAMILIES, PAIRS, PRISTINE, RATED, SIDE, Examples, crop
from rsfiqa.backbones.weights import PERCEPTION_FILE
from rsfiqa.captioners.classifier.weights import packaged, read
from rsfiqa.datasets.entry import Entry
from tests.support.rated import rated_photographs


@pytest.fixture(scope="module")
def rated(tmp_path_factory) -> list[Entry]:
    """Twenty small photographs, half of them good ones of ss03."""
    opinions = ((f"ss0{3 if i % 2 else 1} ({i}).png", 0.4 + 0.03 * i) for i in range(20))
    folder = tmp_path_factory.mktemp("rated")
    return rated_photographs(folder, opinions, coarse=(24, 32), size=(420, 340))


@pytest.fixture(scope="module")
def step(rated):
    return Examples(rated, 0)[0]


def test_only_good_photographs_of_unsplash_are_distorted(rated):
    examples = Examples(rated, 0)
    assert [rated[i].image_id for i in examples.pristine] == [
        f"ss03 ({i}).png" for i in range(20) if i % 2 and 0.4 + 0.03 * i > PRISTINE
    ]


def test_a_step_depends_on_its_number_alone(rated, step):
    again = Examples(rated, 0)[0]
    assert all(np.array_equal(value, getattr(again, name)) for name, value in vars(step).items())
    assert not np.array_equal(Examples(rated, 0)[1].pixels, step.pixels)


def test_every_photograph_is_rated_once_in_an_epoch(rated):
    found = Examples(rated[:RATED], 0)[0].opinions
    assert sorted(found) == pytest.approx([entry.mos for entry in rated[:RATED]])


def test_pairs_differ_in_the_distorted_region_alone(step):
    assert step.pixels.shape == (RATED + 2 * PAIRS, 3, SIDE, SIDE)
    assert step.severity.shape == (PAIRS, len(FAMILIES))
    assert ((step.severity > 0).sum(1) >= 1).all()
    for pair in range(PAIRS):
        mask, rest = step.masks[RATED + PAIRS + pair, 1:]
        if step.everywhere[pair]:
            assert mask.all()
            assert rest.all()
        else:
            np.testing.assert_array_equal(mask + rest, 1)
            assert 0.1 < mask.mean() < 0.7


def test_small_photographs_are_padded():
    image = np.arange(300 * 330 * 3, dtype=np.uint64).astype(np.uint8).reshape(300, 330, 3)
    assert crop(image, np.random.default_rng(0)).shape == (SIDE, SIDE, 3)


def test_losses_fall_to_nothing_for_a_perfect_answer(step):
    """A head that answers as the step asks has no loss of presence, severity and drop."""

    class Perfect(torch.nn.Module):
        """Answers of a step; `scale` as the head's."""

        scale = torch.tensor([0.0, 1.0])

        def forward(self, features):
            severity = torch.zeros(*features.shape[:2], len(FAMILIES))
            severity[RATED + PAIRS :, 1] = torch.from_numpy(step.severity)
            everywhere = torch.from_numpy(step.everywhere)[:, None]
            severity[RATED + PAIRS :, 2] = severity[RATED + PAIRS :, 1] * everywhere
            quality = torch.zeros(features.shape[:2])
            quality[:RATED, 0] = torch.from_numpy(step.opinions)
            quality[RATED + PAIRS :] = -10
            presence = torch.where(severity > 0, 30.0, -30.0)
            return {"presence": presence, "severity": severity, "quality": quality}

    network = perception.Learner(packaged().backbone)
    network.head = Perfect()
    losses = perception.step_losses(network, step)
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(
        dict.fromkeys(("opinion", "presence", "severity", "drop"), 0), abs=1e-5
    )


def test_training_starts_from_the_backbone_of_a_file():
    start = perception.load_start(PERCEPTION_FILE)
    known = packaged().network.state_dict()
    for name, value in start.network.state_dict().items():
        torch.testing.assert_close(value, known[name])


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(tmp_path, rated):
    def train(state, target):
        torch.manual_seed(0)
        start = perception.load_start(None)
        perception.train(rated, start, tmp_path / state, target, steps=1, save_every=1)
        return target.read_bytes()

    (tmp_path / "folder/taken").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):  # all steps are done, but nothing is written
        train("killed", tmp_path / "folder")
    assert train("killed", tmp_path / "resumed") == train("whole", tmp_path / "undisturbed")
    assert read(tmp_path / "resumed").families == FAMILIES
