"""What tests of captioners share: data sets without captions, options, runs of the stage."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsfiqa.caption import stage as caption
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.rule_based.regression import Prediction
from rsfiqa.products import captions, manifest
from rsfiqa.products.paths import product_path, stats_path
from rsfiqa.runtime.shards import Shard
from rsfiqa.vocabulary import FAMILIES
from tests.support.completion_server import MODEL, Server
from tests.support.pipeline import made

SHARD = "00000"
TINY_QWEN = "tiny-qwen"  # name of the model that tiny_qwen.py writes


def uncaptioned_folder(factory: pytest.TempPathFactory, target: Path) -> Path:
    """A copy of the folder of a tiny data set with regions, but without captions."""
    folder = Path(shutil.copytree(made(factory) / "tiny", target / "tiny"))
    shutil.rmtree(folder / "caption")
    return folder


def vlm_options(*servers: Server, **changes: Any) -> CaptionOptions:
    """Options of the VLM captioner with stand-ins for servers."""
    endpoints = tuple(server.url for server in servers)
    usual = {"model": MODEL, "retry_timeout": 5.0, "request_timeout": 5.0, "concurrency": 4}
    return CaptionOptions(backend="vllm", endpoints=endpoints, **usual | changes)


def run_stage(folder: Path, options: CaptionOptions) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Caption one shard; its rows and its statistics."""
    caption.run(folder, options, max_failed_fraction=0.5, only=(SHARD,))
    path = product_path(folder, "caption", SHARD)
    return captions.read(path)[0].to_pylist(), json.loads(stats_path(path).read_text("utf-8"))


def shard_of(folder: Path) -> Shard:
    """The shard that `run_stage` captions."""
    table, _ = manifest.read(folder / "manifest.parquet", SHARD)
    return Shard(folder, SHARD, "caption", table.to_pylist())


def prediction_of(none: float, **families: tuple[float, float]) -> Prediction:
    """The prediction of one region.

    Args:
        none: probability that it has no distortion.
        families: probability and severity of families; others have probability 0.
    """
    columns = np.array([families.get(name, (0, 1)) for name in FAMILIES], float)
    names = tuple(FAMILIES)
    return Prediction(names, np.array([none]), columns[None, :, 0], columns[None, :, 1])


def pictures_of(body: dict[str, Any]) -> list[str]:
    """The pictures of a request as data URIs."""
    parts = body["messages"][1]["content"]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
