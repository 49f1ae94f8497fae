import pytest

from benchmarks.ablation.conditions import check_size, comparisons, conditions
from rsfiqa.errors import InputError


def test_the_ten_primary_comparisons_of_the_protocol():
    primary = [one for one in comparisons(conditions()) if one.primary]
    assert [one.primary for one in primary] == list(range(1, 11))
    assert [one.second for one in primary] == ["no_mhf"] * 3 + ["no_mllm"] * 4 + ["no_rsa"] * 3


def test_conditions_run_in_the_order_of_the_protocol():
    names = [one.name for one in conditions()]
    assert names[:4] == ["a.livec", "b.livec.n100", "c.livec", "e.mmp2k"]
    assert names[-3:] == ["f.livec", "c.both", "b.biq2021.n5000"]
    assert len(set(names)) == len(names) == 14


def test_every_comparison_is_made_once():
    found = comparisons(conditions())
    assert len(set(found)) == len(found)


def test_more_images_than_the_set_has():
    condition = conditions(curve=(100, 2000))[-4]
    with pytest.raises(InputError, match=r"b\.livec\.n2000: n must be at most 930.*found 2000"):
        check_size(condition, 930)
