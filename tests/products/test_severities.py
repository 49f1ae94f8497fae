"""Severities of families in a picture, from areas and severities of its regions."""

import pytest

from rsfiqa.products import severities


@pytest.mark.parametrize(
    ("areas", "severity"),
    [({5: 0.05, 3: 0.05}, 3), ({5: 0.1}, 5), ({5: 0.04, 3: 0.04, 1: 0.01}, 0), ({}, 0)],
)
def test_regions_of_higher_severity_count_for_lower_ones(areas, severity):
    assert severities.severity_by_area(areas) == severity
