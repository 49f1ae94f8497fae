"""What the heavy paths cost on a GPU: scoring, SAM, fine-tuning, teaching a 7B model.

Figures of parts that were measured before are kept. Nothing is downloaded: models have their real
sizes and random weights, images are smooth noise. SAM's decoder returns prepared masks, as in the
segment benchmark. Fine-tuning steps use crops in memory, without distorted regions: an upper bound,
not the speed of a training.
"""

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
import yaml
from PIL import Image
from scipy.spatial import cKDTree
from segment_anything import sam_model_registry
from segment_anything.modeling import Sam

from benchmarks import segment
from benchmarks.figures import FOLDER, ROOT, parser, write
from rsfiqa import Scorer, checkpoints
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.captioners.vlm import prompt
from rsfiqa.captioners.vlm.answer import Distortion
from rsfiqa.datasets import demo
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.images.load import LoadedImage
from rsfiqa.io.provenance import Provenance
from rsfiqa.model import RSA, Batch, quality_loss
from rsfiqa.products import regions
from rsfiqa.products.manifest import ManifestRow
from rsfiqa.products.versions import VERSIONS
from rsfiqa.runtime import shards
from rsfiqa.score.batching import BATCH_SIZE
from rsfiqa.score.inputs import make_inputs
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.workers import Setup, Workers
from rsfiqa.segmenters.sam.generator import MaskGenerator
from rsfiqa.segmenters.sam.segmenter import SamSegmenter
from rsfiqa.teach.batches import Collator
from rsfiqa.teach.examples import Example, Message, Part, correct_answer
from rsfiqa.teach.models import load_processor, with_lora
from rsfiqa.teach.options import TeachDataOptions, TeachTrainOptions
from rsfiqa.teach.train import make_trainer
from rsfiqa.train.finetuned_model import FinetunedModel, finetuning_groups
from rsfiqa.train.options import TrainOptions

DEVICE = torch.device("cuda")
SCORED = 500, 5000  # pictures of the shorter and of the longer run
PICTURES, SIDE = 16, 500  # of SAM, in pixels
STEPS, UNTIMED = 20, 5  # of fine-tuning
REGIONS, TEXT = 12, 384
TEACH_STEPS = 2
SEVEN_BILLION: dict[str, Any] = {  # Qwen2.5-VL-7B, as its authors tell its sizes
    "text": {
        "vocab_size": 152_064,
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24], "rope_type": "default"},
    },
    "vision": {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "out_hidden_size": 3584,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
    },
}


def timed(work: Callable[[], object], times: int = 1) -> float:
    """Seconds that it takes, until the GPU has done it; the mean of so many times."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(times):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / times


def peak_gb() -> float:
    """The most memory that tensors took since the last call, 1e9 bytes; free memory is let go."""
    found = torch.cuda.max_memory_allocated() / 1e9
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return found


def smooth(seed: int, height: int, width: int) -> np.ndarray:
    """A picture of smooth noise: uint8 (height, width, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    picture: np.ndarray = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return picture


def grid_features_of(image: np.ndarray) -> list[np.ndarray]:
    """The nearest of some random points, on each scale: label maps int (H, W)."""
    places = np.indices(image.shape[:2]).reshape(2, -1).T
    found = []
    for count in segment.SCALES:
        points = np.random.default_rng(count).uniform(0, image.shape[:2], (count, 2))
        found.append(cKDTree(points).query(places)[1].reshape(image.shape[:2]))
    return found


def segment_model() -> Sam:
    """SAM of the size vit_b."""
    torch.manual_seed(0)
    return sam_model_registry["vit_b"]().to(DEVICE).eval()


def segment_rows(folder: Path) -> list[ManifestRow]:
    """Pictures as rows of a manifest, with image_id and path only."""
    rows = []
    for i in range(PICTURES):
        rows.append({"image_id": f"{i:02d}.png", "path": str(folder / f"{i:02d}.png")})
        Image.fromarray(smooth(i, SIDE, SIDE)).save(rows[-1]["path"])
    return cast(list[ManifestRow], rows)


def measure_segment(folder: Path) -> Iterator[tuple[str, float]]:
    """SAM vit_b from file to file: this stage, and the package's generator writing PNG masks."""
    rows = segment_rows(folder)
    yield "segment_points", segment.POINTS**2
    model = segment_model()
    known = {}  # an image is known by its embedding, which depends on the precision
    for mode, precision in (("exact", "fp32"), ("exact", "bf16"), ("adaptive", "bf16")):
        name = f"{mode}_{precision}"
        chosen = segment.options(mode, Path("x"), workers=4, precision=precision)
        generator = MaskGenerator(model, chosen)
        if precision not in known:
            known[precision] = segment.Recorded(segment.records(rows, generator, grid_features_of))
        generator.decode = known[precision].decode
        segment_shard(folder / f"{name}-first", rows[:4], generator)  # warms up
        peak_gb()
        seconds = timed(partial(segment_shard, folder / name, rows, generator))
        yield f"segment_{name}_images_per_s", len(rows) / seconds
        yield f"segment_{name}_peak_gb", peak_gb()
    shard = shards.Shard(folder / "stock", "00000", "segment", rows)
    seconds = timed(partial(segment.run_stock, model, known["fp32"], shard, folder / "stock"))
    yield "segment_stock_images_per_s", len(rows) / seconds
    yield "segment_stock_peak_gb", peak_gb()


def segment_shard(folder: Path, rows: list[ManifestRow], generator: MaskGenerator) -> None:
    """The stage on one shard."""
    shard = shards.Shard(folder, "00000", "segment", rows)
    found = SamSegmenter(generator).segment_shard(shard)
    regions.write(
        shard.path,
        found,
        Provenance("regions", regions.VERSION, "segment", VERSIONS["segment"]),
    )


def measure_compile(_: Path) -> Iterator[tuple[str, float]]:
    """What torch.compile brings SAM's encoder and fine-tuning, and takes at first."""
    batch = torch.zeros(4, 3, 1024, 1024, device=DEVICE)
    model = segment_model()

    def encode() -> None:
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
            model.image_encoder(batch)

    timed(encode)
    yield "encoder_images_per_s", len(batch) / timed(encode, STEPS)
    model.image_encoder.compile()
    yield "encoder_compile_s", timed(encode)
    yield "encoder_compiled_images_per_s", len(batch) / timed(encode, STEPS)
    peak_gb()
    yield from measure_finetune_as("compiled", finetune_options(precision="bf16", compile=True))


def measure_finetune(_: Path) -> Iterator[tuple[str, float]]:
    """Steps of fine-tuning EfficientNet-Lite0 on pictures that are at hand."""
    yield from measure_finetune_as("fp32", finetune_options())
    yield from measure_finetune_as("bf16", finetune_options(precision="bf16"))


def finetune_options(**changes: Any) -> TrainOptions:
    """Options of a fine-tuning with these changes."""
    return TrainOptions(finetune={"enabled": True, **changes})


def measure_finetune_as(name: str, options: TrainOptions) -> Iterator[tuple[str, float]]:
    """Steps of fine-tuning with these options, named so in the figures."""
    extract = ExtractOptions()
    source = load_backbone(extract.backbone, extract.weights)
    torch.manual_seed(0)
    model = RSA(stage_channels=source.channels, text_dim=TEXT)
    size, grid = options.finetune.batch_size, extract.grid
    tuned = FinetunedModel(source, model, grid, bf16=options.finetune.precision == "bf16").to(
        DEVICE
    )
    if options.finetune.compile:
        tuned.network.compile()
    pixels = [
        np.ascontiguousarray(
            smooth(i, options.finetune.crop, options.finetune.crop).transpose(2, 0, 1)
        )
        for i in range(size)
    ]
    fraction = torch.full((size, REGIONS, grid**2), 1 / REGIONS)
    batch = Batch(
        grid_features=torch.zeros(size, 2, sum(source.channels), grid, grid),
        coverage=fraction,
        text=torch.randn(size, REGIONS, TEXT),
        ratings=torch.full((size, REGIONS, 5), 3.0),
        geometry=torch.full((size, REGIONS, 7), 0.5),
        present=torch.ones(size, REGIONS, dtype=torch.bool),
    )
    quality = torch.linspace(0, 1, size)
    model.standardise(
        replace(batch, grid_features=torch.rand_like(batch.grid_features)).to(DEVICE), quality
    )
    optimizer = torch.optim.AdamW(finetuning_groups(tuned, options))
    tuned.train()

    def step() -> None:
        optimizer.zero_grad()
        found, _ = tuned(pixels, batch.to(DEVICE))
        torch.autograd.backward(quality_loss(found.head_quality, quality.to(DEVICE)))
        optimizer.step()

    first = timed(step)
    if options.finetune.compile:
        yield "finetune_compile_s", first
    timed(step, UNTIMED)
    peak_gb()
    yield f"finetune_{name}_images_per_s", size / timed(step, STEPS)
    yield f"finetune_{name}_peak_gb", peak_gb()


def measure_teach(folder: Path) -> Iterator[tuple[str, float]]:
    """The recipes of config/ for Qwen2.5-VL-7B: memory, and seconds of a step."""
    subprocess.run(
        [sys.executable, ROOT / "tests/support/tiny_qwen.py", folder / "tiny"], check=True
    )
    for name in ("80gb", "24gb"):
        recipe = yaml.safe_load((ROOT / f"config/teach-7b-{name}.yaml").read_text("utf-8"))["teach"]
        options = TeachTrainOptions(
            **recipe["train"] | {"model": str(folder / "tiny"), "workers": 0, "log_steps": 1}
        )
        processor = load_processor(options)
        pixels = TeachDataOptions(**recipe["data"]).max_pixels
        for part in (processor.image_processor, processor.video_processor):
            part.size = {"shortest_edge": prompt.MIN_SIDE**2, "longest_edge": pixels}
        example = teach_example(folder, pixels)
        collator = Collator(processor, folder)
        yield f"teach_{name}_tokens", collator.row(example)["input_ids"].shape[1]
        model = with_lora(seven_billion(processor), options)
        number = TEACH_STEPS * options.batch_size * options.gradient_accumulation_steps
        trainer = make_trainer(
            model,
            collator,
            [example] * number,
            [],
            folder / f"steps-{name}",
            options=options,
            seed=0,
        )
        trainer.args.save_strategy = "no"
        peak_gb()
        yield f"teach_{name}_s_per_step", timed(trainer.train) / TEACH_STEPS
        yield (
            f"teach_{name}_images_per_step",
            options.batch_size * options.gradient_accumulation_steps,
        )
        yield f"teach_{name}_reserved_gb", torch.cuda.max_memory_reserved() / 1e9
        del model, trainer
        yield f"teach_{name}_peak_gb", peak_gb()


def teach_example(folder: Path, pixels: int) -> Example:
    """An example with two pictures as large as the recipe lets them be."""
    side = int(pixels**0.5)
    names = tuple(f"{side}-{i}.png" for i in range(2))
    for i, name in enumerate(names):
        Image.fromarray(smooth(i, side, side)).save(folder / name)
    answer = correct_answer("a bright sky", [Distortion(family="noise", severity=3)])
    parts: list[Part] = [
        {"type": "image"},
        {"type": "image"},
        {"type": "text", "text": "Rate the region."},
    ]
    response: list[Part] = [{"type": "text", "text": answer.model_dump_json()}]
    messages: tuple[Message, ...] = (
        {"role": "user", "content": parts},
        {"role": "assistant", "content": response},
    )
    return Example("x", "x", "local", 0, (), "x", names, messages)


def seven_billion(processor: Any) -> Any:
    """A random Qwen2.5-VL of the real one's size, that speaks of pictures as the processor does."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    words = processor.tokenizer
    tokens = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start"}
    config = Qwen2_5_VLConfig(
        text_config=SEVEN_BILLION["text"],
        vision_config=SEVEN_BILLION["vision"],
        tie_word_embeddings=False,
        **{f"{k}_token_id": words.convert_tokens_to_ids(f"<|{v}|>") for k, v in tokens.items()},
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with DEVICE:
            return Qwen2_5_VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(torch.float32)


def measure_score(folder: Path) -> Iterator[tuple[str, float]]:
    """Photographs of 500 x 500 pixels a second: from files with all cores, and on the GPU alone."""
    photograph = Image.fromarray(demo.photograph("skimage/data/astronaut.png"))
    for number in range(SCORED[1]):
        # of one size, and each another picture
        left = number % (photograph.width - SIDE)
        cut = photograph.crop((left, 0, left + SIDE, SIDE))
        cut.save(folder / f"{number:05d}.jpg", quality=80 + number % 16)
    paths = sorted(map(str, folder.glob("*.jpg")))
    options = ScoreOptions(device="cuda")
    workers = Workers(Setup(checkpoints.PACKAGED, options, None), 0)
    few, many = (_seconds(workers, paths[:count]) for count in SCORED)
    yield "score_images_per_s", (SCORED[1] - SCORED[0]) / (many - few)
    scorer = Scorer(checkpoints.PACKAGED, options)
    pixels = np.asarray(photograph.crop((0, 0, SIDE, SIDE)))
    prepared = scorer.prepare(LoadedImage(pixels, (SIDE, SIDE), converted=False))
    inputs = make_inputs(prepared, scorer.region_pipeline, SIDE)
    batch = [inputs] * BATCH_SIZE
    scorer.score_inputs(batch)
    yield "score_batch_images_per_s", BATCH_SIZE / timed(lambda: scorer.score_inputs(batch), 20)


def _seconds(workers: Workers, paths: Sequence[str]) -> float:
    """Seconds to score pictures, start of the processes included."""
    started = time.perf_counter()
    with closing(workers.rows(paths)) as rows:
        failed = sum(row["status"] != "ok" for row, _ in rows)
    if failed:
        sys.exit(f"benchmarks gpu: all pictures must be scored, found {failed} that failed")
    return time.perf_counter() - started


PARTS = {
    "score": measure_score,
    "segment": measure_segment,
    "finetune": measure_finetune,
    "teach": measure_teach,
    "compile": measure_compile,
}


def main(arguments: Sequence[str]) -> None:
    """Measure the parts and write the figures after each."""
    options = parser(__name__, __doc__)
    options.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    given = options.parse_args(arguments)
    if not torch.cuda.is_available():
        sys.exit("benchmarks gpu: needs a GPU, found none; run it on a machine with one")
    before = FOLDER / "bench-gpu.json"
    figures = json.loads(before.read_text("utf-8")) if before.is_file() else {}
    figures = {key: value for key, value in figures.items() if not isinstance(value, str)}
    for name in given.part:
        with tempfile.TemporaryDirectory() as folder:
            for key, value in PARTS[name](Path(folder)):
                figures[key] = value
                print(json.dumps({key: round(value, 3)}), file=sys.stderr, flush=True)
        write("bench-gpu", figures, "python -m benchmarks gpu")  # a later part may be cut off
