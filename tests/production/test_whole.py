"""The paper's system as config/production.yaml describes it, with small models of its classes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from segment_anything.build_sam import _build_sam
from skimage import data
from timm import create_model

from rsfiqa.products import captions, regions
from rsfiqa.products.paths import product_path
from tests.support.sam import SIZES
from tests.support.workflow import ROOT

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "retina", "hubble_deep_field")


def write_pictures(root):
    """Six photographs with made-up scores; the path of their table."""
    rows = ["path,mos,group"]
    for i, name in enumerate(PHOTOGRAPHS):
        image = Image.fromarray(np.asarray(getattr(data, name)())[..., :3])
        image.thumbnail((192, 192))
        image.save(root / f"{name}.png")
        rows.append(f"{name}.png,{1 + 0.7 * i:.1f},g{i}")
    table = root / "scores.csv"
    table.write_text("\n".join(rows), "utf-8")
    return table


@pytest.fixture
def small(tmp_path):
    """What takes the place of the checkpoints, and of the data sets, in production.yaml."""
    torch.manual_seed(0)
    torch.save(_build_sam(**SIZES).state_dict(), tmp_path / "sam.pth")
    backbone = create_model("resnet10t", pretrained=False)
    torch.save(backbone.state_dict(), tmp_path / "backbone.pth")
    pictures = {
        "layout": "csv",
        "root": str(write_pictures(tmp_path)),
        "mos_range": [1, 5],
    }
    return {
        "shard_size": 3,
        "datasets": {"pictures": pictures},
        "gpus": dict.fromkeys(("segment", "caption", "embed", "extract", "train"), 0),
        "segment": {
            "checkpoint": str(tmp_path / "sam.pth"),
            "model_type": "auto",
            "precision": "fp32",
            "compile": False,
            "device": "auto",
            "points_per_side": 3,
            "pred_iou_thresh": -10.0,
            "stability_score_thresh": 0.0,
            "box_nms_thresh": 1.0,
            "workers": 0,
        },
        "embed": {"encoder": "packaged-minilm", "device": "auto"},
        "extract": {
            "backbone": "resnet10t",
            "weights": str(tmp_path / "backbone.pth"),
            "device": "auto",
            "grid": 4,
        },
        "train": {
            "min_images": 6,
            "epochs": 2,
            "ensemble_heads": 2,
            "width": 8,
            "hidden": 8,
            "finetune": {
                "epochs": 1,
                "batch_size": 2,
                "crop": 96,
                "compile": False,
                "device": "auto",
                "workers": 0,
            },
        },
        "benchmark": {
            "datasets": ["pictures"],
            "splits": 1,
            "test_fraction": 0.34,
            "variants": ["full"],
        },
        "report": {"images": 2},
    }


def snakemake(folder, overlay, *arguments, config="production.yaml"):
    """A configuration as it is shipped, with an overlay, in a folder."""
    path = folder / "overlay.yaml"
    path.write_text(yaml.safe_dump(overlay), "utf-8")
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "1"]
    files = ["--configfile", str(ROOT / "config" / config), str(path)]
    profile = ["--workflow-profile", str(ROOT / "profiles/default")]
    return subprocess.run(
        [*command, *arguments, *profile, "--directory", str(folder), *files],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_six_pictures_through_everything(small, served, tmp_path):
    small["caption"] = served | {"max_pixels": 50_000, "max_tokens": 400, "concurrency": 8}
    found = snakemake(tmp_path, small)
    assert found.returncode == 0, found.stdout
    folder = tmp_path / "results/pictures"
    for shard in ("00000", "00001"):
        table, origin = captions.read(product_path(folder, "caption", shard))
        reader = regions.Reader(product_path(folder, "segment", shard))
        counts = [int(reader[image_id].labels.max()) + 1 for image_id in reader.image_ids]
        assert table.num_rows == sum(counts) > 3
        assert "ok" in table["status"].to_pylist()
        assert "model.safetensors" in origin.models
        log_file = tmp_path / f"results/logs/caption/pictures/{shard}.server.log"
        assert "vllm.entrypoints.openai.api_server" in log_file.read_text("utf-8")
    card = json.loads((tmp_path / "results/train/pictures.full/split-00/card.json").read_text())
    assert card["backbone"]["backbone"] == "resnet10t"
    assert card["finetuned"]
    assert (tmp_path / "results/report/index.html").is_file()
    assert "Nothing to be done" in snakemake(tmp_path, small).stdout


def test_a_recipe_to_the_end(model, served, tmp_path):
    """teach-7b-24gb.yaml with a model of the same architecture: examples, teaching, all tests."""
    root = str(write_pictures(tmp_path))
    training = {"model": str(model), "gradient_accumulation_steps": 2, "epochs": 1, "workers": 0}
    overlay = {
        "datasets": {"pictures": {"layout": "csv", "root": root, "mos_range": [1, 5]}},
        "benchmark": {"datasets": ["pictures"]},
        "gpus": {"caption": 0, "teach": 0},
        "caption": served | {"max_pixels": 50_000, "max_tokens": 400, "concurrency": 8},
        "teach": {
            "datasets": ["pictures"],
            "data": {"views": 5, "max_pixels": 50_000},
            "train": training,
        },
    }
    found = snakemake(tmp_path, overlay, "teach", config="teach-7b-24gb.yaml")
    assert found.returncode == 0, found.stdout
    folder = tmp_path / "results/teach"
    sources = json.loads((folder / "data.json").read_text())["sources"]
    assert {part: len(names) for part, names in sources.items()} == {
        "train": 5, "validation": 0, "test": 1
    }  # fmt: skip
    assert (folder / "finetuned/adapter/adapter_model.safetensors").is_file()
    tests = {
        name: json.loads((folder / f"tests/{name}.test.json").read_text())
        for name in ("rule_based", "zero_shot", "finetuned")
    }
    assert {one["n"] for one in tests.values()} == {65}
    assert len({one["examples"] for one in tests.values()}) == 1
    assert tests["rule_based"]["valid_fraction"] == tests["finetuned"]["valid_fraction"] == 1
