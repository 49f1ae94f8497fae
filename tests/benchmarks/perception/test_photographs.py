"""Which photographs are measured, and which are there to choose by."""

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.perception.photographs import Bench
from recipes import perception

TRAIN = [f"ss03 ({number}).jpg" for number in range(6)]
TEST = ["ss03 (8).jpg", "ss01 (9).jpg"]


def tiny(data: Path) -> Path:
    """BIQ2021's layout with six training and two test images of noise."""
    root = data / "BIQ2021"
    (root / "Images").mkdir(parents=True)
    random = np.random.default_rng(0)
    for part, names in (("Train", TRAIN), ("Test", TEST)):
        lines = [f"{name},{0.1 + 0.1 * number}" for number, name in enumerate(names)]
        table = root / f"{part} (Images and MOS).csv"
        table.write_text("\n".join(["Image Name,MOS", *lines, ""]), "utf-8")
        for name in names:
            pixels = random.integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(root / "Images" / name)
    return data


def test_choices_are_made_by_photographs_that_are_held_out(tmp_path, monkeypatch):
    monkeypatch.setattr(perception, "HELD_OUT", 4)
    data = tiny(tmp_path / "data")
    held_out = {entry.path.name for entry in perception.photographs(data)[1]}

    def names(**options: bool) -> set[str]:
        bench = Bench(data, tmp_path / "work", processes=None, **options)
        return {Path(row["path"]).name for row in bench.biq2021_test()}

    assert names() == set(TEST)
    assert names(chooses=True) == held_out < set(TRAIN)
    assert len(held_out) == 4
    assert Bench(data, tmp_path / "work", processes=None, chooses=True).kodak() == []
