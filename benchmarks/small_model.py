"""A small vision-language model that is taught on two cores: tower first, then the whole.

Usage: python benchmarks/small_model.py DATA. DATA holds kodak. Some hours; a run that was broken
off goes on from its last saved step.

1. The vision tower of a Qwen2.5-VL of 5 million parameters learns to classify: crops of pristine
   photographs, distorted all over or not at all, 12 families at 5 levels. No language: with the
   language loss alone it learns nothing.
2. The language part learns to answer, by `rsfiqa teach train` on the examples of
   `rsfiqa teach data`; the tower stays as it is.
3. The test of make bench-teach, through vLLM.
4. LIVEC with the captions of this model, 10 splits, with and without them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench import column, configuration, made_with, without
from figures import FOLDER, data_with, run, write
from PIL import Image
from served import PYTHON, make_ready, write_tiny_model
from teach import SERVING, flags
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm
from transformers import (
    AutoProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessor,
)
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    apply_rotary_pos_emb_vision,
    get_vision_position_ids,
)

from rsfiqa import images
from rsfiqa.captions import FAMILIES
from rsfiqa.datasets import demo, kodak
from rsfiqa.distortions import DISTORTIONS, LEVELS
from rsfiqa.files import atomic, write_json
from rsfiqa.heap import keep_freed
from rsfiqa.splits import TESTED, seed_of
from rsfiqa.train.fit import rate_of

PLACE = FOLDER / "small"
SIDE = 112  # pixels of a crop: one window of attention
AROUND = 24  # pixels more on each side while it is distorted
PATCH, MERGED = 14, 2  # pixels; patches across a token
ACROSS = SIDE // PATCH
WIDTH, DEPTH, HEADS, LAYERS = 192, 4, 3, 4
BATCH, STEPS, RATE = 64, 5_000, 1e-3
RATE_OF_MATRICES = 0.02  # of the blocks, by Muon
SAVED = 250  # steps
KEPT = 3  # photographs to validate by
CHECKED = 1024  # crops of those
MAX_PIXELS = 256 * 28**2  # of a picture that the model is shown
VIEWS = 100  # of each photograph
SERVED = SERVING | {"model": "small", "max-pixels": MAX_PIXELS}
TRAINING = {
    "epochs": 3,
    "batch-size": 8,
    "accumulate": 1,
    "learning-rate": 1e-3,
    "weight-decay": 0.02,
    "precision": "fp32",
    "checkpointing": False,
}


class Crops(Dataset):
    """Crops with the number of their family (0: none) and level; each depends on its index alone.

    Args:
        photographs: uint8 (H, W, 3), pristine.
        length: how many.
        seed: of them.
    """

    def __init__(self, photographs: list[np.ndarray], length: int, seed: str) -> None:
        self.photographs, self.length, self.seed = photographs, length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        """uint8 (3, SIDE, SIDE), 0..12, 0..5."""
        random = np.random.default_rng(seed_of("small", self.seed, index))
        image = self.photographs[random.integers(len(self.photographs))]
        scale = random.uniform(0.94, 1.06) if random.random() < 0.7 else 1.0  # by the processor
        side = round(SIDE * scale)
        wide = side + 2 * AROUND
        y, x = (int(random.integers(length - wide + 1)) for length in image.shape[:2])
        crop = np.ascontiguousarray(image[y : y + wide, x : x + wide])
        if random.integers(2):
            crop = np.ascontiguousarray(crop[:, ::-1])
        family = int(random.integers(len(FAMILIES) + 1))
        level = int(random.choice(LEVELS)) if family else 0
        if family:
            crop = DISTORTIONS[FAMILIES[family - 1]](crop, level, random)
        start = AROUND + random.integers(-8, 9, 2)  # the grid of blocks lies anywhere
        crop = crop[start[0] : start[0] + side, start[1] : start[1] + side]
        if side != SIDE:
            crop = np.asarray(Image.fromarray(crop).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        return torch.from_numpy(crop.transpose(2, 0, 1).copy()), family, level


class Classifier(nn.Module):
    """The tower, and what its tokens say of family and level.

    The tower as transformers runs it goes through images and windows one by one; here all have the
    same size, and it takes a quarter of the time.

    Args:
        tower: Qwen2_5_VisionTransformerPretrainedModel; learns in place.
        processor: of its pictures.
    """

    def __init__(self, tower: Any, processor: Qwen2VLImageProcessor) -> None:
        super().__init__()
        self.tower: Any = tower
        self.head = nn.Linear(WIDTH, 1 + len(FAMILIES) + len(LEVELS))
        self.processor = processor
        places = get_vision_position_ids(torch.tensor([[1, ACROSS, ACROSS]]), MERGED)
        self.rotation = tower.rotary_pos_emb(torch.zeros(1), places)

    def patches(self, crops: Tensor) -> Tensor:
        """(B * 64, 588) of crops uint8 (B, 3, SIDE, SIDE), in the tower's order."""
        own = self.processor
        found = own.rescale_and_normalize(
            crops, True, own.rescale_factor, True, own.image_mean, own.image_std
        )
        return own.patchify(found, PATCH, MERGED, 1)[0].flatten(0, 1)

    def tokens(self, crops: Tensor) -> Tensor:
        """(B, 16, WIDTH) of crops uint8 (B, 3, SIDE, SIDE)."""
        filters = self.tower.patch_embed.proj.weight.sum(2)  # of two frames, the same picture
        hidden = nn.functional.linear(self.patches(crops), filters.flatten(1))
        for block in self.tower.blocks:
            hidden = hidden + self._attention(block.attn, block.norm1(hidden))
            hidden = hidden + block.mlp(block.norm2(hidden))
        return self.tower.merger(hidden).view(len(crops), -1, WIDTH)

    def _attention(self, layer: Any, hidden: Tensor) -> Tensor:
        parts = layer.qkv(hidden).view(-1, ACROSS**2, 3, HEADS, WIDTH // HEADS).unbind(2)
        query, key = apply_rotary_pos_emb_vision(parts[0], parts[1], *self.rotation)
        query, key, value = (part.transpose(1, 2) for part in (query, key, parts[2]))
        found = nn.functional.scaled_dot_product_attention(query, key, value)
        return layer.proj(found.transpose(1, 2).reshape(-1, WIDTH))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of families (B, 13) and of levels (B, 5)."""
        found = self.head(self.tokens(crops).mean(1))
        return found[:, : 1 + len(FAMILIES)], found[:, 1 + len(FAMILIES) :]


def cosines() -> Tensor:
    """Filters of the patches to begin with: the discrete cosine transform, (WIDTH, 3, 14, 14)."""
    at = torch.arange(PATCH)
    basis = torch.cos(torch.pi * (at[None] + 0.5) * at[:, None] / PATCH)
    basis = basis / basis.norm(dim=1, keepdim=True)  # (14, 14), by frequency
    order = sorted(((u, v) for u in range(PATCH) for v in range(PATCH)), key=lambda f: (sum(f), f))
    colors = torch.tensor([[0.3, 0.6, 0.1], [0.5, -0.5, 0.0], [0.25, 0.25, -0.5]])
    filters = []
    for color, number in zip(colors, (WIDTH - 64, 32, 32), strict=True):
        for u, v in order[:number]:
            filters.append(color[:, None, None] * torch.outer(basis[u], basis[v]))
    return torch.stack(filters)


@torch.no_grad()
def whiten(classifier: Classifier, crops: Tensor) -> None:
    """Scale the filters, and what gates the blocks, so that all begin with a spread of about 1.

    Of natural images the lowest coefficient is a hundred times the highest, which tell most of
    noise, blur and compression.

    Args:
        classifier: changed in place.
        crops: uint8 (N, 3, SIDE, SIDE), some to teach by.
    """
    filters = classifier.tower.patch_embed.proj.weight
    found = classifier.patches(crops) @ filters.sum(2).flatten(1).T
    filters /= found.std(0)[:, None, None, None, None]
    for block in classifier.tower.blocks:
        for layer in (block.mlp.gate_proj, block.mlp.up_proj):
            layer.weight *= WIDTH**-0.5 / layer.weight.std()


def untaught(base: Path) -> Qwen2_5_VLForConditionalGeneration:
    """The model before teaching, with the processor of the tiny one of the tests in `base`."""
    write_tiny_model(base)
    config = Qwen2_5_VLConfig.from_pretrained(base)
    text: Any = config.text_config
    vision: Any = config.vision_config
    text.hidden_size = vision.out_hidden_size = WIDTH
    text.intermediate_size, text.num_hidden_layers = 3 * WIDTH, LAYERS
    text.layer_types = ["full_attention"] * LAYERS
    text.num_attention_heads = text.num_key_value_heads = HEADS
    vision.hidden_size, vision.intermediate_size = WIDTH, 512
    vision.depth, vision.num_heads, vision.fullatt_block_indexes = DEPTH, HEADS, []
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(config)
    with torch.no_grad():
        filters = cosines()[:, :, None].repeat(1, 1, 2, 1, 1) / 2  # two frames, the same picture
        model.model.visual.patch_embed.proj.weight.copy_(filters)
    return model


def photographs(data: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """To teach by, and to validate by; those that are kept for tests are not read."""
    entries = [entry for entry in kodak.read(data / "kodak") if entry.subset != TESTED]
    found = [images.read_rgb(entry.path) for entry in entries]
    return found[KEPT:] + [demo.photograph(name) for name in demo.SOURCES], found[:KEPT]


def batches(crops: Crops, first: int, workers: int) -> DataLoader:
    """Batches in order from the one with number `first`."""
    order = range(first * BATCH, len(crops))
    return DataLoader(
        torch.utils.data.Subset(crops, list(order)), BATCH, num_workers=workers, drop_last=True
    )


def checked(model: Classifier, crops: Crops) -> dict[str, float]:
    """How often family and level are right on crops."""
    family, level = [], []
    model.eval()
    with torch.inference_mode():
        for pixels, families, levels in batches(crops, 0, 0):
            kind, severity = model(pixels)
            family.append(kind.argmax(1) == families)
            level.append((severity.argmax(1) + 1 == levels)[families > 0])
    model.train()
    return {
        "tower_family_accuracy": float(torch.cat(family).float().mean()),
        "tower_level_accuracy": float(torch.cat(level).float().mean()),
    }


def teach_tower(
    model: Qwen2_5_VLForConditionalGeneration, processor: Qwen2VLImageProcessor, data: Path
) -> dict[str, float]:
    """Teach the tower in place to classify, from the last saved step."""
    taught, kept = photographs(data)
    torch.manual_seed(0)
    classifier = Classifier(model.model.visual, processor)
    sample = Crops(taught, 512, "whitening")
    whiten(classifier, torch.stack([sample[i][0] for i in range(len(sample))]))
    matrices = [x for x in classifier.tower.blocks.parameters() if x.ndim == 2]
    others = [x for x in classifier.parameters() if all(x is not y for y in matrices)]
    optimizers = [
        torch.optim.Muon(matrices, RATE_OF_MATRICES, weight_decay=0.02, adjust_lr_fn="original"),
        torch.optim.AdamW(others, RATE, weight_decay=0.02),
    ]
    schedules: list[Any] = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: rate_of(s / STEPS, 0.02))
        for optimizer in optimizers
    ]
    parts: dict[str, Any] = {"model": classifier}
    parts |= {f"optimizer_{i}": optimizer for i, optimizer in enumerate(optimizers)}
    parts |= {f"schedule_{i}": schedule for i, schedule in enumerate(schedules)}
    path, step = PLACE / "tower.pt", 0
    if path.is_file():
        state = torch.load(path, weights_only=True)
        step = state["step"]
        for name, part in parts.items():
            part.load_state_dict(state[name])
    validation = Crops(kept, CHECKED, "validation")
    bar = tqdm(total=STEPS, initial=step, desc="tower")
    for pixels, families, levels in batches(Crops(taught, BATCH * STEPS, "train"), step, 1):
        kind, severity = classifier(pixels)
        loss = nn.functional.cross_entropy(kind, families)
        spoilt = families > 0
        loss = loss + nn.functional.cross_entropy(severity[spoilt], levels[spoilt] - 1)
        classifier.zero_grad()
        loss.backward()
        for part in (*optimizers, *schedules):
            part.step()
        step += 1
        bar.update()
        if step % SAVED == 0 or step == STEPS:
            found = checked(classifier, validation)
            print(json.dumps({"step": step, "loss": loss.item()} | found), flush=True)
            with atomic(path) as partial:
                torch.save(
                    {"step": step} | {name: part.state_dict() for name, part in parts.items()},
                    partial,
                )
    return checked(classifier, validation)


def taught(data: Path) -> dict[str, float]:
    """Teach the language part by examples, test through vLLM; the figures of the test."""
    rsfiqa = (sys.executable, "-m", "rsfiqa")
    sources: list[str | Path] = []
    for name, root in (("kodak", ("--root", data / "kodak")), ("demo", ())):
        run(*rsfiqa, "prepare", PLACE / name, "--layout", name, *root)
        run(*rsfiqa, "segment", PLACE / name)
        sources += ["--source", PLACE / name]
    examples, output = PLACE / "examples", PLACE / "taught"
    run(*rsfiqa, "teach", "data", examples, *sources, f"--views={VIEWS}", "--two-share=0")
    model = ("--model", PLACE / "base", "--method=full", "--frozen=.*visual.*")
    run(*rsfiqa, "teach", "train", examples, "-o", output, *model, *flags(TRAINING))
    run(*rsfiqa, "teach", "test", examples)
    served = (f"--weights={output / 'model'}", *flags(SERVED))
    run(*rsfiqa, "teach", "test", examples, "--name=small", *served)
    return json.loads((examples / "tests/small.test.json").read_text("utf-8"))


def livec(data: Path) -> dict[str, float]:
    """What the pipeline reaches with the captions of the taught model."""
    caption = {name.replace("-", "_"): value for name, value in SERVED.items()}
    caption |= {"weights": str(PLACE / "taught/model"), "python": str(PYTHON)}
    changes = configuration(data)
    changes["datasets"] = {"livec": changes["datasets"]["livec"]}
    options = {"datasets": ["livec"], "variants": ["full", "no_mllm"], "peers": []}
    changes |= {"caption": caption, "benchmark": changes["benchmark"] | options}
    root = made_with(changes, FOLDER / "taught")
    srcc = float(np.median(column(root, "livec", "livec", "full", "srcc")))
    return {"livec_srcc_taught": srcc} | without(root, "no_mllm", "mllm_taught")


def main() -> None:
    """Teach the tower, then the language part; test; write the figures."""
    data = data_with("kodak")
    make_ready()
    keep_freed(large=True)
    base = PLACE / "base"
    figures_of_tower = PLACE / "tower.json"
    if not figures_of_tower.is_file():
        model = untaught(base)
        processor = AutoProcessor.from_pretrained(base)
        processor.image_processor.size.longest_edge = MAX_PIXELS
        figures = teach_tower(model, processor.image_processor, data)
        model.save_pretrained(base)
        processor.save_pretrained(base)
        write_json(figures_of_tower, figures)
    figures = json.loads(figures_of_tower.read_text("utf-8"))
    figures |= taught(data)
    write("bench-small", figures | livec(data), "make bench-small DATA=DIR")


if __name__ == "__main__":
    main()
