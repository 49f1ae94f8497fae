import csv
import re

from rsfiqa.datasets.registry import DATASETS
from rsfiqa.report.files import latex, latex_table, write_references, write_table


def test_a_table_as_csv_and_latex(tmp_path):
    rows = [("no_mhf, 5 %", "<.0001"), ("A & B", "0.5")]
    write_table(tmp_path, "mine", ("variant", "p"), rows)
    with (tmp_path / "mine.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["variant", "p"], *map(list, rows)]
    text = (tmp_path / "mine.tex").read_text("utf-8")
    assert "no\\_mhf, 5 \\% & \\textless{}.0001 \\\\" in text
    assert "A \\& B & 0.5 \\\\" in text


def test_a_tabular_has_a_column_for_each_head():
    lines = latex_table(("a", "b", "c"), [("1", "2", "3")]).splitlines()
    assert lines[0] == "\\begin{tabular}{lll}"
    assert lines[1:3] == ["\\toprule", "a & b & c \\\\"]
    assert lines[-2:] == ["\\bottomrule", "\\end{tabular}"]


def test_what_means_something_to_latex():
    assert latex("50 % of {a}_b \\ #1") == "50 \\% of \\{a\\}\\_b \\textbackslash{} \\#1"


def test_references_have_a_key_each(tmp_path):
    write_references(tmp_path)
    text = (tmp_path / "references.bib").read_text("utf-8")
    keys = re.findall(r"^@\w+\{(\w+),$", text, re.MULTILINE)
    assert len(keys) == len(set(keys)) == text.count("@")
    assert {"rsfiqa", "livec", "biq2021", "agiqa3k", "nadeau2003", "holm1979"} <= set(keys)
    assert text.count("{") == text.count("}")


def test_every_published_data_set_has_a_reference(tmp_path):
    """Kodak's photographs came without a paper."""
    write_references(tmp_path)
    text = (tmp_path / "references.bib").read_text("utf-8")
    keys = set(re.findall(r"^@\w+\{(\w+),$", text, re.MULTILINE))
    assert set(DATASETS) - {"csv", "folder", "demo", "kodak"} <= keys
