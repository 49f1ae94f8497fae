"""The checkpoint that comes with the package."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from rsfiqa import checkpoints
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.datasets import demo
from rsfiqa.errors import InputError
from rsfiqa.images.distort import distort
from rsfiqa.score.scorer import Scorer

MOST_MB = 16
# Points of 100 of photographs that come in packages, computed by one thread; midway between those
# of two processors, which differ by 1e-4 at most.
SCORES = {
    "skimage/data/astronaut.png": 75.193828,
    "skimage/data/chelsea.png": 84.589303,
    "skimage/data/coffee.png": 91.641688,
    "sklearn/datasets/images/china.jpg": 89.595711,
    "sklearn/datasets/images/flower.jpg": 91.547016,
}


@pytest.fixture(scope="module")
def scorer():
    return Scorer.load(device="cpu", runtime="torch")


def test_the_card_names_its_training_and_metrics(scorer):
    card = scorer.card
    assert (card.datasets[0], card.finetuned, scorer.score_range) == ("livec", False, (0, 100))
    assert [added["dataset"] for added in card.added] == list(card.datasets[1:])
    assert card.datasets[2] == "rising"
    assert card.datasets[1].startswith("biq2021")
    assert card.split["name"] == "all-00"
    assert card.test_metrics["splits"] >= 3
    assert 0.8 < card.test_metrics["held_out_livec_srcc"] < 1
    assert 0.7 < card.test_metrics["held_out_biq2021_srcc"] < 1
    assert card.caption["sha256"] == card.backbone["sha256"]  # one network


def test_other_weights_than_those_of_its_backbone_are_refused(tmp_path):
    own = load_backbone("tf_efficientnet_lite0", "packaged").network.state_dict()
    save_file(own, tmp_path / "b.safetensors")
    wrong = r"--weights: must be the weights of the backbone trained on"
    with pytest.raises(InputError, match=wrong):
        Scorer.load(device="cpu", weights=str(tmp_path / "b.safetensors"))


def test_regions_are_captioned_from_the_feature_maps_of_the_score(scorer):
    """As by the captioner alone, which would compute them again."""
    photograph = demo.photograph("skimage/data/chelsea.png")
    labels = scorer.segment(photograph)
    alone = scorer.region_pipeline.caption(photograph, labels)
    assert scorer.predict(photograph, labels).captions == alone


def test_the_checkpoint_is_small():
    size = sum(path.stat().st_size for path in checkpoints.PACKAGED.iterdir())
    assert size <= MOST_MB * 1e6


@pytest.fixture
def one_thread():
    """One thread, by which the order of sums is fixed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("source", SCORES)
def test_scores_are_those_recorded(scorer, source):
    """To 1e-6 of the range of the scores."""
    score = scorer.score(demo.photograph(source))
    assert score.score == pytest.approx(SCORES[source], abs=1e-4)
    costs = sum(region.cost for region in score.regions)
    assert costs == pytest.approx(100 - score.score, abs=1e-4)  # below 0 beyond the best end


def test_onnx_runtime_gives_the_same_scores_and_reasons(scorer):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    faster = Scorer.load(device="cpu", runtime="onnx")
    for source in SCORES:
        expected, found = (each.score(demo.photograph(source)) for each in (scorer, faster))
        assert found.score == pytest.approx(expected.score, abs=1e-3)
        assert found.reason == expected.reason
        assert [each.text for each in found.regions] == [each.text for each in expected.regions]


@pytest.mark.parametrize(
    "source", ["skimage/data/chelsea.png", "matplotlib/mpl-data/sample_data/grace_hopper.jpg"]
)
def test_dividing_a_region_with_its_caption_changes_little(scorer, source):
    """By 5 points of 100 at most, as docs/method.md states."""
    photograph = demo.photograph(source).copy()
    labels = scorer.segment(photograph)
    whole = scorer.predict(photograph, labels)
    changes = []
    for region in range(labels.max() + 1):
        for coordinate in np.indices(labels.shape):  # rows, then columns
            divided = labels.copy()
            inside = labels == region
            divided[inside & (coordinate > np.median(coordinate[inside]))] = labels.max() + 1
            other = scorer.predict(photograph, divided, [*whole.captions, whole.captions[region]])
            changes.append(100 * abs(float(other.prediction.quality - whole.prediction.quality)))
    assert max(changes) < 5
    assert 0 < np.median(changes) < 0.6  # measured: 0.55


@pytest.mark.parametrize("family", ["blur", "noise", "compression"])
def test_distorted_copies_of_a_photograph_get_lower_scores(scorer, family):
    photograph = demo.photograph("sklearn/datasets/images/flower.jpg")
    random = np.random.default_rng(0)
    copies = [distort(photograph, family, severity, random) for severity in (2, 5)]
    scores = [scorer.score(image).score for image in (photograph, *copies)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[2] + 10


def test_a_black_and_white_photograph_is_not_called_low_in_saturation(scorer):
    photograph = demo.photograph("sklearn/datasets/images/flower.jpg")
    dull, grey = (
        scorer.score(distort(photograph, "saturation_low", severity, np.random.default_rng(0)))
        for severity in (3, 5)
    )
    assert grey.reason == "in black and white"
    assert " with a lack of color" in grey.worst.text
    assert grey.worst.reason.startswith("in black and white")
    assert "black and white" not in dull.reason


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_is_called_so(scorer, level):
    score = scorer.score(np.full((300, 400, 3), level, np.uint8))
    assert score.reason == "blank: nothing can be seen"
    assert not any(region.distortions for region in score.regions)
