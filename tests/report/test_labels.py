"""Names of methods."""

import pytest

from rsfiqa.benchmark.options import BASELINES
from rsfiqa.report.labels import method_label
from rsfiqa.vocabulary import VARIANTS
from tests.support.results import dataset_pairs, rows


@pytest.mark.parametrize(
    ("variant", "backend", "label"),
    [
        ("full", "rule_based", "RSFIQA"),
        ("no_mllm", "rule_based", "−captions (rule-based)"),
        ("no_mllm", "qwen2.5-vl", "−MLLM"),
        ("no_mllm", "", "−captions"),
        ("no_rsa", "rule_based", "−RSA"),
        ("probe", "", "SVR probe (frozen backbone)"),
        ("alien", "", "alien"),
    ],
)
def test_captions_are_called_what_made_them(variant, backend, label):
    (pair,) = dataset_pairs(rows(variant, [0.5]), backend)
    assert pair.methods[0].label == label
    assert method_label(variant, backend) == label


def test_every_variant_is_explained():
    found = [row for name in (*VARIANTS, "probe") for row in rows(name, [0.5])]
    (pair,) = dataset_pairs(found, "rule_based")
    assert pair.explained[0] == ("RSFIQA", "the full model")
    assert [label for label, _ in pair.explained] == [m.label for m in pair.methods[:-1]]


def test_a_baseline_is_called_by_its_registration():
    for name, baseline in BASELINES.items():
        assert method_label(name, "") == baseline.label
