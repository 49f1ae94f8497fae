import csv
import shutil

import pytest

from rsfiqa.products.paths import results_path
from rsfiqa.report import stage as report


@pytest.fixture(scope="module")
def copy(pipeline, tmp_path_factory):
    """Results with a report."""
    root = tmp_path_factory.mktemp("exported") / "results"
    shutil.copytree(pipeline, root)
    report.run(root, images=0, title="t")
    return root


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_table_and_plot_is_a_file(copy):
    names = ("agreement-tiny-tiny", "agreement-tiny-other", "variants-tiny", "across")
    expected = {f"{name}{suffix}" for name in names for suffix in (".csv", ".tex")}
    assert {path.name for path in (copy / "report/tables").iterdir()} == expected
    plots = ("scatter-tiny-tiny", "scatter-tiny-other", "calibration-tiny", "curves-tiny")
    figures = {path.name for path in (copy / "report/figures").iterdir()}
    assert figures == {f"{name}.svg" for name in plots}
    assert (copy / "report/references.bib").is_file()


def test_a_figure_is_a_document_of_its_own(copy):
    for path in (copy / "report/figures").iterdir():
        text = path.read_text("utf-8")
        assert text.startswith("<svg"), path.name
        assert 'xmlns="http://www.w3.org/2000/svg"' in text, path.name


def test_a_table_has_the_figures_of_the_page(copy):
    page = (copy / "report/index.html").read_text("utf-8")
    rows = read(copy / "report/tables/agreement-tiny-tiny.csv")
    assert len(rows) == 3  # full, without captions, probe
    for row in rows:
        assert row["SRCC"] in page
        assert row["SRCC 95 % interval"] in page


def test_what_an_earlier_report_wrote_is_removed(copy):
    (copy / "report/tables/agreement-gone-gone.csv").write_text("stale", "utf-8")
    (copy / "report/tables/ablation-primary.csv").write_text("of a benchmark", "utf-8")
    results_path(copy, "tiny", "other", "full").unlink()
    report.run(copy, images=0, title="t")
    names = {path.name for path in (copy / "report/tables").iterdir()}
    assert not names & {"agreement-gone-gone.csv", "agreement-tiny-other.csv"}
    assert "ablation-primary.csv" in names
    assert not (copy / "report/figures/scatter-tiny-other.svg").exists()
