"""The checkpoint that comes with the package."""

import numpy as np
import pytest

from rsfiqa.datasets import demo
from rsfiqa.images.distort import distort
from rsfiqa.products import checkpoints
from rsfiqa.score.scorer import Scorer

MOST_MB = 12


@pytest.fixture(scope="module")
def scorer():
    return Scorer.load(device="cpu")


def test_its_card_says_on_what_and_how_well(scorer):
    card = scorer.card
    assert (card.datasets, card.finetuned, scorer.score_range) == (["livec"], True, (0, 100))
    assert card.split["name"] == "all-00"
    assert card.test_metrics["splits"] >= 3
    assert 0.8 < card.test_metrics["finetune_livec_srcc"] < 1


def test_it_is_small():
    size = sum(path.stat().st_size for path in checkpoints.PACKAGED.iterdir())
    assert size <= MOST_MB * 1e6


@pytest.mark.parametrize(
    "source", ["skimage/data/chelsea.png", "matplotlib/mpl-data/sample_data/grace_hopper.jpg"]
)
def test_a_region_in_two_with_the_same_caption_changes_little(scorer, source):
    """By 3 points of 100 at most, as docs/method.md says, mostly by far less."""
    photograph = demo.photograph(source).copy()
    labels = scorer.segment(photograph)
    whole = scorer.predict(photograph, labels)
    moved = []
    for region in range(labels.max() + 1):
        for places in np.indices(labels.shape):  # above and below, left and right
            divided = labels.copy()
            inside = labels == region
            divided[inside & (places > np.median(places[inside]))] = labels.max() + 1
            seen = scorer.predict(photograph, divided, [*whole.captions, whole.captions[region]])
            moved.append(100 * abs(float(seen.prediction.score - whole.prediction.score)))
    assert max(moved) < 3
    assert 0 < np.median(moved) < 0.5


@pytest.mark.parametrize("family", ["blur", "noise", "compression"])
def test_worse_copies_of_a_photograph_get_lower_scores(scorer, family):
    photograph = demo.photograph("sklearn/datasets/images/flower.jpg")
    random = np.random.default_rng(0)
    copies = [distort(photograph, family, level, random) for level in (2, 5)]
    scores = [scorer.score(picture).score for picture in (photograph, *copies)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[2] + 10
