"""What the report imports: torch for pictures of results only, matplotlib for plots only."""

import subprocess
import sys

import pytest

from rsfiqa.products import results
from tests.support.results import rows

HEAVY = {"torch", "matplotlib", "sklearn"}


def imported(code: str, *arguments) -> set[str]:
    """The heavy packages that a program imports."""
    command = [
        sys.executable,
        "-c",
        f"import sys\n{code}\nprint(*sys.modules)",
        *map(str, arguments),
    ]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return HEAVY & set(output.split())


@pytest.mark.parametrize("module", ["stage", "scored"])
def test_the_report_starts_light(module):
    assert imported(f"import rsfiqa.report.{module}") == set()


def test_results_without_products_need_no_torch(tmp_path, provenance):
    predictions = results.PREDICTIONS.empty_table()
    path = tmp_path / "benchmark/livec.livec.probe.parquet"
    results.write(
        path, rows("probe", [0.5, 0.25], "livec", "livec"), predictions, provenance("results")
    )
    code = "from pathlib import Path\nfrom rsfiqa.report import stage\n"
    code += "stage.run(Path(sys.argv[1]), images=4, title='t')"
    assert imported(code, tmp_path) == set()
    assert (tmp_path / "report/index.html").is_file()
