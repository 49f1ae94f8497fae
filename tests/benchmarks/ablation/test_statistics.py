import numpy as np
import pyarrow as pa
import pytest

from benchmarks.ablation.conditions import TEST_FRACTION, Comparison, Condition
from benchmarks.ablation.statistics import compare, rank_correlations, verdict
from benchmarks.ablation.units import SCHEMA
from rsfiqa.errors import InputError
from rsfiqa.metrics import paired_test, srcc

SPLITS = Condition("a.tiny", ("tiny",), ("tiny",), 4, "split")
FIXED = Condition("c.tiny", ("tiny",), ("tiny",), 4, "all")
CAPTIONS = Comparison("a.tiny", "tiny", "full", "no_mllm")


def unit(seed, *, n=60, noise=(0.3, 0.9), tag="", groups=None):
    """A table of two variants of which the first is better."""
    random = np.random.default_rng(seed)
    quality = np.linspace(0, 1, n)
    rows = [
        {
            "variant": variant,
            "test": "tiny",
            "image_id": f"{i:03d}",
            "group": f"{i if groups is None else i % groups}",
            "tag": tag if i % 2 else "",
            "quality": quality[i],
            "predicted": quality[i] + random.normal(0, spread),
            "hit": float(random.random() > spread),
        }
        for variant, spread in zip(("full", "no_mllm"), noise, strict=True)
        for i in range(n)
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def test_random_splits_are_tested_with_the_corrected_t():
    tables = [unit(seed) for seed in range(4)]
    found = compare(SPLITS, CAPTIONS, tables)
    scores = [
        [
            srcc(*(np.array(part[name]) for name in ("predicted", "quality")))
            for part in (table.slice(0, 60), table.slice(60))
        ]
        for table in tables
    ]
    differences = np.subtract(*np.transpose(scores))
    assert found.mean == pytest.approx(differences.mean())
    assert found.p == pytest.approx(paired_test(differences, TEST_FRACTION))
    assert found.low < found.mean < found.high
    # the interval and the test agree: 0 lies in the interval if p is at least 0.05
    assert (found.low > 0) == (found.p < 0.05)
    assert (found.units, found.n) == (4, 60)


def test_the_error_on_a_fixed_test_set_is_that_of_resampled_images():
    hits = Comparison("c.tiny", "tiny", "full", "no_mllm", measure="hit")
    table = unit(0, n=400)
    found = compare(FIXED, hits, [table])
    first, second = (np.array(table["hit"][start : start + 400]) for start in (0, 400))
    expected = np.std(first - second) / np.sqrt(400)
    assert found.power_se == pytest.approx(expected, rel=0.1)
    assert np.isnan(found.effect)


def test_groups_are_resampled_together():
    one = compare(FIXED, CAPTIONS, [unit(0, n=200)])
    few = compare(FIXED, CAPTIONS, [unit(0, n=200, groups=4)])
    assert few.mean == one.mean
    assert few.power_se != one.power_se


def test_a_tag_chooses_images_and_its_negation_the_others():
    tables = [unit(seed, tag="ss01") for seed in range(3)]
    tagged, others = (
        compare(SPLITS, Comparison("a.tiny", "tiny", "full", "no_mllm", tag), tables)
        for tag in ("ss01", "!ss01")
    )
    assert (tagged.n, others.n) == (30, 30)
    assert tagged.mean != others.mean


def test_a_comparison_without_images_is_missing():
    assert compare(SPLITS, Comparison("a.tiny", "other", "full", "no_mllm"), [unit(0)]) is None


def test_variants_on_other_images():
    table = unit(0).slice(0, 119)
    with pytest.raises(InputError, match="must be tested on the same images of tiny, found 60"):
        compare(SPLITS, CAPTIONS, [table])


def test_rank_correlations_are_those_of_scipy():
    random = np.random.default_rng(0)
    values, quality = random.integers(0, 9, (3, 2, 50)), random.integers(0, 9, 50)
    found = rank_correlations(values, quality)
    assert found.shape == (3, 2)
    assert found[1, 1] == pytest.approx(srcc(values[1, 1], quality))
    assert np.isnan(rank_correlations(np.ones(5), np.arange(5)))


@pytest.mark.parametrize(
    ("noise", "holm_p", "expected"),
    [
        ((0.3, 0.9), 0.01, "confirmed"),
        ((0.9, 0.3), 0.01, "refuted"),
        ((0.3, 0.9), 0.2, "undecided"),
        ((0, 0), 1.0, "no difference of practical size"),
    ],
)
def test_what_the_protocol_says(noise, holm_p, expected):
    found = compare(SPLITS, CAPTIONS, [unit(seed, noise=noise) for seed in range(4)])
    assert verdict(found, holm_p) == expected
    assert verdict(None, holm_p) == "missing"
