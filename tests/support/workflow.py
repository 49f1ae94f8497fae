"""The workflow in a folder of its own, run as a user runs it."""

import os
import shutil
import subprocess
import sys
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


class Workflow:
    """The workflow in a folder of its own, on 24 small pictures of 8 groups in 2 shards."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.results = folder / "results"
        root = folder / "pictures"
        root.mkdir(parents=True)
        rows = ["path,mos,group"]
        for i in range(24):
            noise = np.random.default_rng(i).normal(128, 4 + 3 * i, (72, 64, 3))
            picture = np.clip(noise, 0, 255).astype(np.uint8)
            picture[:36] = 255 - picture[:36] // 2
            Image.fromarray(picture).save(root / f"{i:02d}.png")
            rows.append(f"{i:02d}.png,{5 - i / 6:.2f},g{i % 8}")
        (root / "scores.csv").write_text("\n".join(rows), "utf-8")
        tiny = {"layout": "csv", "root": str(root / "scores.csv"), "mos_range": [1, 5]}
        config = {
            "shard_size": 12,
            "datasets": {"tiny": tiny},
            "gpus": dict.fromkeys(("segment", "caption", "embed", "extract", "train"), 1),
            "train": {"epochs": 2, "ensemble_heads": 2},
            "benchmark": {"datasets": ["tiny"], "splits": 2, "variants": ["full", "no_rsa"]},
            "report": {"images": 3},
            **changes,
        }
        self.config = folder / "overlay.yaml"
        self.config.write_text(yaml.safe_dump(config), "utf-8")

    def copy(self, folder: Path, *, record: bool = True) -> "Workflow":
        """The same results and configuration in another folder, on the same pictures.

        Args:
            folder: of the copy.
            record: copy Snakemake's own record of the run, .snakemake, too.
        """
        ignored = shutil.ignore_patterns("pictures", *([] if record else [".snakemake"]))
        shutil.copytree(self.folder, folder, ignore=ignored)
        other = copy(self)
        other.folder, other.results = folder, folder / self.results.name
        other.config = folder / self.config.name
        return other

    def change(self, **changes: Any) -> None:
        """Change keys of the configuration; sections are merged."""
        config = yaml.safe_load(self.config.read_text("utf-8"))
        for key, value in changes.items():
            merged = isinstance(value, dict) and isinstance(config.get(key), dict)
            config[key] = config[key] | value if merged else value
        self.config.write_text(yaml.safe_dump(config), "utf-8")

    def line(self, *arguments: str) -> list[str]:
        """The command that runs Snakemake here."""
        profile = ("--workflow-profile", str(ROOT / "profiles/default"))
        command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), *profile]
        place = ["--directory", str(self.folder), "--configfile", str(self.config)]
        return [*command, *place, "--cores", "2", *arguments]

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake here; output and errors come back together, nothing is raised."""
        return subprocess.run(
            self.line(*arguments),
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule would run."""
        run = self.snakemake(*arguments, "--dry-run", "--quiet", "rules")
        assert run.returncode == 0, run.stdout
        return {
            words[0]: int(words[1])
            for line in run.stdout.splitlines()
            if len(words := line.split()) == 2 and words[1].isdigit() and words[0] != "total"
        }
