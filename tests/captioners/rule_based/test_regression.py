import numpy as np
import pytest

from rsfiqa.captioners.rule_based.features import FEATURES
from rsfiqa.captioners.rule_based.regression import predict, read_weights
from rsfiqa.vocabulary import FAMILIES, Family
from tests.support.captioning import prediction_of


def test_the_weights_are_those_of_the_features_and_families():
    weights = read_weights()
    assert weights["features"] == list(FEATURES)
    assert tuple(weights["severity"]) == tuple(sorted(FAMILIES))
    assert set(weights["family"]) == {"none", *FAMILIES}
    for table in (weights["family"], weights["severity"]):
        assert {len(row) for row in table.values()} == {len(FEATURES) + 1}


def test_named_are_the_most_likely_and_the_likely():
    both = prediction_of(0.1, noise=(0.45, 2), blur=(0.4, 4.6), pixelation=(0.05, 5))
    assert both.distortions(0) == [
        {"family": "blur", "severity": 5},
        {"family": "noise", "severity": 2},
    ]
    assert prediction_of(0.3, noise=(0.28, 2), blur=(0.2, 1)).distortions(0) == []
    one = prediction_of(0.2, noise=(0.25, 2), blur=(0.24, 1))
    assert one.distortions(0) == [{"family": "noise", "severity": 2}]


def test_mean_features_give_the_intercepts():
    weights = read_weights()
    found = predict(np.array([weights["mean"]]))
    assert found.families == tuple(FAMILIES)
    assert found.none[0] + found.probabilities.sum() == pytest.approx(1)
    expected = np.clip([weights["severity"][name][-1] for name in FAMILIES], 1, 5)
    np.testing.assert_allclose(found.severities[0], expected)


@pytest.fixture
def toy_family():
    """A family that is registered for one test, and has no weights."""
    blur = FAMILIES["blur"]
    FAMILIES.register("toy", Family(**{**vars(blur), "opposite": None}))
    yield "toy"
    FAMILIES.remove("toy")


def test_a_family_without_weights_is_never_predicted(toy_family):
    features = np.array([read_weights()["mean"]])
    found = predict(features)
    assert toy_family not in found.families
    assert found.probabilities.shape == (1, len(FAMILIES) - 1)
