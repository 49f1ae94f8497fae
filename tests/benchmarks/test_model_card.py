"""The figures of the model card."""

import json
import subprocess
import sys

from benchmarks import model_card

FIGURES = {
    "command": "measure",
    "date": "2026-01-02",
    "splits": 3.0,
    "n_biq2021_test": 1200.0,
    "held_out_biq2021_srcc": 0.5,
    "held_out_biq2021_srcc_low": 0.4,
    "held_out_biq2021_srcc_high": 0.6,
    "held_out_biq2021_plcc": 0.25,
    "mmp2k_srcc": 0.125,
    "other_srcc": 0.75,
}


def test_the_card_has_the_figures_that_were_measured(tmp_path):
    card = tmp_path / "MODEL_CARD.md"
    card.write_text(model_card.CARD.read_text("utf-8"), "utf-8")
    line = [sys.executable, "-m", "benchmarks", "model_card", "--card", str(card)]
    subprocess.run(line, check=True, cwd=model_card.ROOT)
    assert card.read_text("utf-8") == model_card.CARD.read_text("utf-8"), (
        "run python -m benchmarks model_card"
    )


def test_every_set_is_a_row_with_the_interval_that_it_has():
    assert model_card.rows(FIGURES)[2:] == [
        "| BIQ2021 (photographs), 1,200 images, held out | 0.500 [0.400, 0.600] | 0.250 |",
        "| MMP-2k (macro) | 0.125 |  |",
        "| other | 0.750 |  |",
    ]


def test_filling_in_again_changes_nothing_else():
    card = f"before\n{model_card.BEGIN}\nold\n{model_card.END}\nafter\n"
    once = model_card.filled(card, FIGURES)
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    assert "Measured by `measure` on 2026-01-02, 3 trainings." in once
    assert model_card.filled(once, json.loads(json.dumps(FIGURES))) == once
