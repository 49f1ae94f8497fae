"""A small vision-language model that is taught on two cores: tower first, then the whole.

Usage: python benchmarks/small_model.py DATA. DATA holds kodak. Two hours; a run that was broken
off goes on from its last saved step.

1. The vision tower of a Qwen2.5-VL of 5 million parameters learns to classify: crops of pristine
   photographs, distorted all over or not at all, 12 families at 5 levels. No language: with the
   language loss alone it learns nothing.
2. The language part learns to answer about such crops, in few tokens; the tower stays as it is.
3. It learns to answer what the caption stage asks, by `rsfiqa teach train` on the examples of
   `rsfiqa teach data`.
4. The test of make bench-teach, through vLLM.
5. LIVEC with the captions of this model, 10 splits, with and without them.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from rsfiqa.caption import prompt
from rsfiqa.caption.answer import Distortion
from rsfiqa.captions import FAMILIES
from rsfiqa.datasets import demo, kodak
from rsfiqa.distortions import LEVELS, way_of
from rsfiqa.files import atomic, write_json
from rsfiqa.heap import keep_freed
from rsfiqa.splits import TESTED, seed_of
from rsfiqa.teach import examples
from rsfiqa.teach.batches import IGNORED
from rsfiqa.train.fit import rate_of

PLACE = FOLDER / "small"
RSFIQA = (sys.executable, "-m", "rsfiqa")
SIDE = 112  # pixels of a crop: one window of attention
AROUND = 24  # pixels more on each side while it is distorted
PATCH, MERGED = 14, 2  # pixels; patches across a token
ACROSS = SIDE // PATCH
WIDTH, DEPTH, HEADS, LAYERS = 192, 4, 3, 4
BATCH, STEPS, SPOKEN = 64, 5_000, 1_000
RATE, RATE_OF_MATRICES = 1e-3, 7e-3  # the latter of the blocks, by Muon
SAVED = 250  # steps
KEPT = 3  # photographs to validate by
CHECKED = 1024  # crops of those
MAX_PIXELS = 256 * 28**2  # of a picture that the model is shown
VIEWS = 80  # of each photograph
SERVED = SERVING | {"model": "small", "max-pixels": MAX_PIXELS}
TRAINING = {
    "epochs": 2,
    "batch-size": 8,
    "accumulate": 1,
    "learning-rate": 1e-3,
    "weight-decay": 0.02,
    "precision": "bf16",
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
            crop = way_of(FAMILIES[family - 1], random)(crop, level, random)
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
        turned = apply_rotary_pos_emb_vision(parts[0], parts[1], *self.rotation)
        query, key, value = (part.to(hidden.dtype).transpose(1, 2) for part in (*turned, parts[2]))
        weights = (query @ key.transpose(2, 3) * query.shape[-1] ** -0.5).softmax(-1)
        return layer.proj((weights @ value).transpose(1, 2).reshape(-1, WIDTH))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of families (B, 13) and of levels (B, 5)."""
        with half():
            found = self.head(self.tokens(crops).mean(1))
        found = found.float()
        return found[:, : 1 + len(FAMILIES)], found[:, 1 + len(FAMILIES) :]


def half() -> torch.autocast:
    """Matrices multiplied in bfloat16, which takes half of the time."""
    return torch.autocast("cpu", torch.bfloat16)


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
def prepare(classifier: Classifier, crops: Tensor) -> None:
    """Let the tower begin with what tells distortions apart: the energy of each frequency.

    Filters are scaled to the same spread: of natural images the lowest coefficient is a hundred
    times the highest, which tell most of noise, blur and compression. The first block begins with
    their squares, which gates make exactly: silu(x) x + silu(-x) (-x) = x².

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
    first = classifier.tower.blocks[0].mlp
    both = torch.cat([torch.eye(WIDTH), -torch.eye(WIDTH)])
    for layer in (first.gate_proj, first.up_proj):
        layer.weight[: 2 * WIDTH] = both
        layer.bias.zero_()
    turned, _ = torch.linalg.qr(torch.randn(WIDTH, WIDTH))
    first.down_proj.weight *= 0.1
    first.down_proj.weight[:, : 2 * WIDTH] = 0.5 * torch.cat([turned, turned], 1)


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


def teach(
    name: str,
    module: nn.Module,
    layers: nn.Module,
    batches_from: Callable[[int], Iterable[Any]],
    loss_of: Callable[..., Tensor],
    check: Callable[[], dict[str, float]],
    steps: int,
) -> dict[str, float]:
    """Teach a module in place, from the last saved step.

    Args:
        name: of what is saved, and of the bar.
        module: what learns.
        layers: the part of it whose matrices learn by Muon; all else that learns does by AdamW.
        batches_from: gives those from a step on.
        loss_of: takes what a batch holds.
        check: figures, when steps are saved.
        steps: how many.

    Returns:
        The figures after the last step.
    """
    matrices = [x for x in layers.parameters() if x.ndim == 2]
    learning = [x for x in module.parameters() if x.requires_grad]
    others = [x for x in learning if all(x is not y for y in matrices)]
    optimizers = [
        torch.optim.Muon(matrices, RATE_OF_MATRICES, weight_decay=0.02, adjust_lr_fn="original"),
        torch.optim.AdamW(others, RATE, weight_decay=0.02),
    ]
    schedules: list[Any] = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: rate_of(s / steps, 0.02))
        for optimizer in optimizers
    ]
    parts: dict[str, Any] = {"model": module}
    parts |= {f"optimizer_{i}": optimizer for i, optimizer in enumerate(optimizers)}
    parts |= {f"schedule_{i}": schedule for i, schedule in enumerate(schedules)}
    path, step = PLACE / f"{name}.pt", 0
    if path.is_file():
        state = torch.load(path, weights_only=True)
        step = state["step"]
        for part_name, part in parts.items():
            part.load_state_dict(state[part_name])
    found = check() if step == steps else {}
    bar = tqdm(total=steps, initial=step, desc=name)
    for batch in batches_from(step):
        loss = loss_of(*batch)
        module.zero_grad()
        loss.backward()
        for part in (*optimizers, *schedules):
            part.step()
        step += 1
        bar.update()
        if step % SAVED == 0 or step == steps:
            found = check()
            print(json.dumps({"step": step, "loss": loss.item()} | found), flush=True)
            with atomic(path) as partial:
                torch.save(
                    {"step": step} | {name: part.state_dict() for name, part in parts.items()},
                    partial,
                )
    return found


def teach_tower(
    model: Qwen2_5_VLForConditionalGeneration, processor: Qwen2VLImageProcessor, data: Path
) -> dict[str, float]:
    """Teach the tower in place to classify."""
    taught, kept = photographs(data)
    torch.manual_seed(0)
    classifier = Classifier(model.model.visual, processor)
    classifier.tower.patch_embed.requires_grad_(False)  # steps would soon destroy the filters
    sample = Crops(taught, 512, "frequencies")
    prepare(classifier, torch.stack([sample[i][0] for i in range(len(sample))]))
    validation = Crops(kept, CHECKED, "validation")

    def loss_of(pixels: Tensor, families: Tensor, levels: Tensor) -> Tensor:
        kind, severity = classifier(pixels)
        spoilt = families > 0
        return nn.functional.cross_entropy(kind, families) + nn.functional.cross_entropy(
            severity[spoilt], levels[spoilt] - 1
        )

    return teach(
        "tower",
        classifier,
        classifier.tower.blocks,
        lambda step: batches(Crops(taught, BATCH * STEPS, "tower"), step, 1),
        loss_of,
        lambda: checked(classifier, validation),
        STEPS,
    )


class Answers:
    """What the language part is to write about crops, as tokens.

    The chat of the caption stage without its instructions, and with crops for pictures: a sixth of
    the tokens. The first picture is that of another question, so that the second is looked at.

    Args:
        processor: of the model.
        contents: descriptions, drawn from at random; a crop does not tell its place.
    """

    def __init__(self, processor: Any, contents: Sequence[str]) -> None:
        self.processor, self.contents = processor, contents
        messages = prompt.region_messages("", "")[1:]
        for part in messages[0]["content"]:
            if part["type"] == "image_url":
                part["type"] = "image"
        asked = processor.apply_chat_template(messages, add_generation_prompt=True)
        messages.append({"role": "assistant", "content": ""})
        self.end = processor.apply_chat_template(messages).removeprefix(asked)  # of an answer
        pictures = [Image.new("RGB", (SIDE, SIDE))] * 2
        found = processor(text=[asked], images=pictures, return_tensors="pt")
        self.asked, self.kinds = found["input_ids"][0], found["mm_token_type_ids"][0]
        self.grids = found["image_grid_thw"]

    def tokens(self, families: Tensor, levels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Question and answer (B, L), and the same with all but the answer masked."""
        random = np.random.default_rng(seed_of("small", "contents", seed))
        texts = []
        for family, level in zip(families.tolist(), levels.tolist(), strict=True):
            content = self.contents[int(random.integers(len(self.contents)))]
            named = [Distortion(family=FAMILIES[family - 1], severity=level)] if family else []
            texts.append(examples.answer_of(content, named).model_dump_json() + self.end)
        found = self.processor.tokenizer(
            texts, add_special_tokens=False, padding=True, padding_side="right", return_tensors="pt"
        )
        asked = self.asked.expand(len(texts), -1)
        labels = found["input_ids"].masked_fill(found["attention_mask"] == 0, IGNORED)
        return (
            torch.cat([asked, found["input_ids"]], 1),
            torch.cat([torch.full_like(asked, IGNORED), labels], 1),
        )


class Speaker(nn.Module):
    """The language part, shown crops by the tower, which stays as it is.

    Args:
        model: whose language part learns in place.
        processor: of it.
    """

    def __init__(self, model: Qwen2_5_VLForConditionalGeneration, processor: Any) -> None:
        super().__init__()
        self.language, self.head = model.model.language_model, model.lm_head
        # lists keep what does not learn out of the module's weights
        self.tower = [Classifier(model.model.visual, processor.image_processor)]
        self.whole, self.picture = [model.model], model.config.image_token_id

    def forward(self, pixels: Tensor, ids: Tensor, grids: Tensor, kinds: Tensor) -> Tensor:
        """Logits (B, L, V) of what follows each token.

        Args:
            pixels: uint8 (B, 3, SIDE, SIDE), of the second pictures.
            ids: (B, L).
            grids: of both pictures, (2, 3).
            kinds: (L,), 1 where a token is of a picture.
        """
        with torch.no_grad(), half():
            shown = self.tower[0].tokens(pixels)
        shown = torch.cat([shown.roll(1, 0), shown], 1).flatten(0, 1)
        hidden = self.language.embed_tokens(ids)
        at = (ids == self.picture).unsqueeze(-1)
        hidden = hidden.masked_scatter(at, shown.to(hidden.dtype))
        places, _ = self.whole[0].get_rope_index(ids[:1], kinds[None], grids)
        with half():
            found = self.language(
                inputs_embeds=hidden, position_ids=places.expand(-1, len(ids), -1), use_cache=False
            )
            return self.head(found.last_hidden_state)


def teach_to_speak(
    model: Qwen2_5_VLForConditionalGeneration, processor: Any, data: Path
) -> dict[str, float]:
    """Teach the language part in place to answer about crops."""
    taught, kept = photographs(data)
    known = examples.read(PLACE / "examples/train.jsonl")
    answers = Answers(processor, sorted({example.wanted.content for example in known}))
    torch.manual_seed(0)
    speaker = Speaker(model, processor)

    def questions(step: int, crops: Crops) -> Iterator[tuple[Tensor, ...]]:
        for number, (pixels, families, levels) in enumerate(batches(crops, step, 1), step):
            yield pixels, *answers.tokens(families, levels, number)

    def loss_of(pixels: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
        kinds = nn.functional.pad(answers.kinds, (0, ids.shape[1] - len(answers.kinds)))
        found = speaker(pixels, ids, answers.grids, kinds)
        at = labels[:, 1:] != IGNORED
        return nn.functional.cross_entropy(found[:, :-1][at].float(), labels[:, 1:][at])

    validation = list(questions(0, Crops(kept, CHECKED, "validation")))

    @torch.no_grad()
    def check() -> dict[str, float]:
        return {"speech_loss": float(np.mean([loss_of(*batch).item() for batch in validation]))}

    return teach(
        "speech",
        speaker,
        speaker.language.layers,
        lambda step: questions(step, Crops(taught, BATCH * SPOKEN, "speech")),
        loss_of,
        check,
        SPOKEN,
    )


def make_examples(data: Path) -> None:
    """Questions and answers by photographs, in PLACE/examples."""
    sources: list[str | Path] = []
    for name, root in (("kodak", ("--root", data / "kodak")), ("demo", ())):
        run(*RSFIQA, "prepare", PLACE / name, "--layout", name, *root)
        run(*RSFIQA, "segment", PLACE / name)
        sources += ["--source", PLACE / name]
    made = (PLACE / "examples", *sources, f"--views={VIEWS}", "--two-share=0")
    run(*RSFIQA, "teach", "data", *made)


def taught() -> dict[str, float]:
    """Teach the language part by examples, test through vLLM; the figures of the test."""
    places, output = PLACE / "examples", PLACE / "taught"
    model = ("--model", PLACE / "base", "--method=full", "--frozen=.*visual.*")
    run(*RSFIQA, "teach", "train", places, "-o", output, *model, *flags(TRAINING))
    run(*RSFIQA, "teach", "test", places)
    served = (f"--weights={output / 'model'}", *flags(SERVED))
    run(*RSFIQA, "teach", "test", places, "--name=small", *served)
    return json.loads((places / "tests/small.test.json").read_text("utf-8"))


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
    base, card = PLACE / "base", PLACE / "base.json"
    if not card.is_file():
        model = untaught(base)
        processor = AutoProcessor.from_pretrained(base)
        processor.image_processor.size.longest_edge = MAX_PIXELS
        figures = teach_tower(model, processor.image_processor, data)
        make_examples(data)
        figures |= teach_to_speak(model, processor, data)
        model.save_pretrained(base)
        processor.save_pretrained(base)
        write_json(card, figures)
    figures = json.loads(card.read_text("utf-8")) | taught()
    write("bench-small", figures | livec(data), "make bench-small DATA=DIR")


if __name__ == "__main__":
    main()
