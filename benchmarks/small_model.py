"""A small vision-language model that is taught on two cores: tower first, then the whole.

Usage: python benchmarks/small_model.py DATA. DATA holds kodak. Three hours; a run that was broken
off goes on from its last saved step.

1. The vision tower of a Qwen2.5-VL of 5 million parameters learns to classify what each token of
   a cut-out region shows: one of 12 families or none, the level, whether it is of the region. No
   language: with the language loss alone it learns nothing.
2. The language part learns to answer about windows of such regions, in few tokens; the tower stays
   as it is.
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

import cv2
import numpy as np
import torch
from bench import column, configuration, made_with, without
from figures import FOLDER, data_with, run, write
from PIL import Image
from safetensors.torch import load_file
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
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from rsfiqa.captioners.vlm import prompt
from rsfiqa.captioners.vlm.answer import Distortion
from rsfiqa.images import load
from rsfiqa.images.distort import SEVERITIES
from rsfiqa.io.atomic import atomic
from rsfiqa.io.json_files import write_json
from rsfiqa.runtime.memory import tune_malloc
from rsfiqa.splits import seed_of
from rsfiqa.teach import examples, sources, views
from rsfiqa.teach.batches import IGNORED
from rsfiqa.teach.options import TeachDataOptions
from rsfiqa.train.fit import rate_of
from rsfiqa.vocabulary import FAMILIES

PLACE = FOLDER / "small"
RSFIQA = (sys.executable, "-m", "rsfiqa")
SOURCES = {"kodak": "kodak", "demo": None}  # layouts, and their folders in DATA
SIDE = 112  # pixels of a window of attention; at the edges of pictures they are smaller
OF_REGION = 3  # windows
INSIDE = 4  # tokens of 16 that show the region which a question is about
PATCH, MERGED = 14, 2  # pixels; patches across a token
TOKEN, ACROSS = PATCH * MERGED, SIDE // PATCH
SIDES = (4, 4, 4, 3, 2)  # of a window in tokens, drawn from
SAID = (1 + len(FAMILIES), len(SEVERITIES), 1)  # of a token: family, level, whether the region
WIDTH, DEPTH, HEADS, LAYERS = 192, 4, 3, 4
BATCH, STEPS, SPOKEN = 64, 7_000, 1_000
RATE, RATE_OF_MATRICES = 1e-3, 7e-3  # the latter of the blocks, by Muon
SAVED = 250  # steps
CHECKED = 16  # batches to validate by
MAX_PIXELS = 512 * 28**2  # of a picture that the model is shown; none of Kodak's is reduced
VIEWS = 160  # of each photograph
SERVED = SERVING | {"model": "small", "max-pixels": MAX_PIXELS}
TRAINING = {
    "epochs": 1,
    "batch-size": 8,
    "accumulate": 1,
    "learning-rate": 1e-3,
    "weight-decay": 0.02,
    "precision": "bf16",
    "checkpointing": False,
}


class Windows(Dataset):
    """Batches of windows of regions that are cut out as the caption stage shows them.

    Photographs are few, and varied by chance. The windows of a batch have one size; those at the
    edges of a picture are smaller than the others. Each batch depends on its index alone.

    Args:
        photographs: pristine, uint8 (H, W, 3), each with its label map (H, W).
        length: how many batches.
        seed: of them.
        sides: of the windows in tokens, drawn from.
        inside: tokens of the region that is asked about, of each window at least.
    """

    def __init__(
        self,
        photographs: list[tuple[np.ndarray, np.ndarray]],
        length: int,
        seed: str,
        *,
        sides: Sequence[int] = (ACROSS // MERGED,),
        inside: int = 0,
    ) -> None:
        self.photographs, self.length, self.seed = photographs, length, seed
        self.sides, self.inside = sides, inside

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Windows uint8 (BATCH, 3, h, w) and what their T tokens show, (BATCH, T, 3).

        The family 0..12, 0 for none; the level 0..5; and 1 in the region that is asked about.
        """
        random = np.random.default_rng(seed_of("small", self.seed, index))
        sides = random.choice(self.sides, 2)
        found: list[tuple[np.ndarray, np.ndarray]] = []
        while len(found) < BATCH:
            found += self._of_view(sides, random)
        pixels, shown = (np.stack(part) for part in zip(*found[:BATCH], strict=True))
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        return torch.from_numpy(pixels), torch.from_numpy(shown).flatten(1, 2).long()

    def _of_view(
        self, sides: np.ndarray, random: np.random.Generator
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Windows of each region of a view that is asked about."""
        photograph = self.photographs[random.integers(len(self.photographs))]
        image, labels = views.varied(*photograph, random)
        kind = random.choice(("pristine", "global", "local"), p=(0.05, 0.15, 0.8))
        questions = int(random.choice((2, 8)))  # one region is distorted, or nearly all are
        spoilt = views.taught(
            image, labels, kind, questions=questions, two_distortions_fraction=0.0, random=random
        )
        shown = np.zeros((*spoilt.labels.shape, 3), np.uint8)
        for region, distortions in spoilt.asked.items():
            for named in distortions:
                at = ... if kind == "global" else spoilt.labels == region
                shown[at, :2] = FAMILIES.index(named.family) + 1, named.severity
        found = []
        for region in spoilt.asked:
            shown[..., 2] = spoilt.labels == region
            cut = prompt.cut_out(spoilt.image, spoilt.labels, region)
            found += self._of_cut(cut, prompt.cut_out(shown, spoilt.labels, region), sides, random)
        return found

    def _of_cut(
        self, cut: np.ndarray, shown: np.ndarray, sides: np.ndarray, random: np.random.Generator
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Windows at random places, with what is in the middle of their tokens."""
        height, width = smart_resize(cut.shape[0], cut.shape[1], TOKEN, prompt.LEAST**2, MAX_PIXELS)
        resized = Image.fromarray(cut).resize((width, height), Image.Resampling.BICUBIC)
        cut = np.asarray(resized)
        shown = cv2.resize(shown, (width, height), interpolation=cv2.INTER_NEAREST)
        shown = shown[TOKEN // 2 :: TOKEN, TOKEN // 2 :: TOKEN]
        shown[shown[..., 2] > 1] = 0  # the outline
        room = np.array(shown.shape[:2]) - sides
        found = []
        for _ in range(OF_REGION if room.min() >= 0 else 0):
            start = random.integers(room + 1)
            (top, left), (bottom, right) = start, start + sides
            tokens = shown[top:bottom, left:right]
            if tokens[..., 2].sum() >= self.inside:
                pixels = cut[top * TOKEN : bottom * TOKEN, left * TOKEN : right * TOKEN]
                found.append((pixels, tokens))
        return found


class Classifier(nn.Module):
    """The tower, and what its tokens say: the family, the level, whether the region is there.

    The tower as transformers runs it goes through images and windows one by one; here all have the
    same size, and it takes a quarter of the time.

    Args:
        tower: Qwen2_5_VisionTransformerPretrainedModel; learns in place.
        processor: of its pictures.
    """

    def __init__(self, tower: Any, processor: Qwen2VLImageProcessor) -> None:
        super().__init__()
        self.tower: Any = tower
        self.head = nn.Linear(WIDTH, sum(SAID))
        self.processor = processor

    def patches(self, windows: Tensor) -> Tensor:
        """(B * P, 588) of windows uint8 (B, 3, h, w) of P patches, in the tower's order."""
        own = self.processor
        found = own.rescale_and_normalize(
            windows, True, own.rescale_factor, True, own.image_mean, own.image_std
        )
        return own.patchify(found, PATCH, MERGED, 1)[0].flatten(0, 1)

    def tokens(self, windows: Tensor) -> Tensor:
        """(B, T, WIDTH) of windows uint8 (B, 3, h, w) of T tokens."""
        sides = [side // PATCH for side in windows.shape[2:]]
        places = get_vision_position_ids(torch.tensor([[1, *sides]]), MERGED)
        rotation = self.tower.rotary_pos_emb(torch.zeros(1), places)
        filters = self.tower.patch_embed.proj.weight.sum(2)  # of two frames, the same picture
        hidden = nn.functional.linear(self.patches(windows), filters.flatten(1))
        for block in self.tower.blocks:
            hidden = hidden + self._attention(block.attn, block.norm1(hidden), rotation)
            hidden = hidden + block.mlp(block.norm2(hidden))
        return self.tower.merger(hidden).view(len(windows), -1, WIDTH)

    def _attention(self, layer: Any, hidden: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        parts = layer.qkv(hidden).view(-1, len(rotation[0]), 3, HEADS, WIDTH // HEADS).unbind(2)
        turned = apply_rotary_pos_emb_vision(parts[0], parts[1], *rotation)
        query, key, value = (part.to(hidden.dtype).transpose(1, 2) for part in (*turned, parts[2]))
        weights = (query @ key.transpose(2, 3) * query.shape[-1] ** -0.5).softmax(-1)
        return layer.proj((weights @ value).transpose(1, 2).reshape(-1, WIDTH))

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of families (B, T, 13), of levels (B, T, 5) and of the region (B, T)."""
        with half():
            found = self.head(self.tokens(windows)).float()
        families, severities, inside = found.split(SAID, -1)
        return families, severities, inside[..., 0]


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
def prepare(classifier: Classifier, windows: Tensor) -> None:
    """Let the tower begin with what tells distortions apart: the energy of each frequency.

    Filters are scaled to the same spread: of natural images the lowest coefficient is a hundred
    times the highest, which tell most of noise, blur and compression. The first block begins with
    their squares, which gates make exactly: silu(x) x + silu(-x) (-x) = x².

    Args:
        classifier: changed in place.
        windows: uint8 (N, 3, h, w), some to teach by.
    """
    filters = classifier.tower.patch_embed.proj.weight
    found = classifier.patches(windows) @ filters.sum(2).flatten(1).T
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


def photographs(part: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Those of a part of the examples, uint8 (H, W, 3), with their label maps."""
    options = TeachDataOptions()
    known = sources.read(
        [PLACE / name for name in SOURCES],
        validation_fraction=options.validation_fraction,
        test_fraction=options.test_fraction,
        seed=0,
    )
    return [
        load.read_with_labels(source.path, source.shard[source.image_id].labels, options.long_side)
        for source in known
        if source.part == part
    ]


def batches(windows: Windows, first: int) -> DataLoader:
    """Batches in order from the one with number `first`."""
    order = list(range(first, len(windows)))
    return DataLoader(torch.utils.data.Subset(windows, order), None, num_workers=1)


def checked(model: Classifier, known: Iterable[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """How often family and level of the region are right, by all tokens of it in a window."""
    right: dict[str, list[Tensor]] = {"family": [], "severity": [], "inside": []}
    model.eval()
    with torch.inference_mode():
        for windows, shown in known:
            families, severities, inside = model(windows)
            family, severity = of_region(shown)
            within = shown[..., 2:].float()
            there = within.sum((1, 2)) > 0
            kind = (families.log_softmax(-1) * within).sum(1).argmax(1)
            severity = (severities.log_softmax(-1) * within).sum(1).argmax(1) + 1
            right["family"].append((kind == family)[there])
            right["severity"].append((severity == severity)[there & (family > 0)])
            right["inside"].append(((inside > 0) == (shown[..., 2] > 0)).flatten())
    model.train()
    return {
        f"tower_{name}_accuracy": float(torch.cat(found).float().mean())
        for name, found in right.items()
    }


def of_region(shown: Tensor) -> tuple[Tensor, Tensor]:
    """Family and level (B,) of the region, by what tokens (B, T, 3) show of it."""
    family, severity = (shown[..., :2] * shown[..., 2:]).amax(1).unbind(1)
    return family, severity


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
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: rate_of(s, steps, 0.02))
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
    model: Qwen2_5_VLForConditionalGeneration, processor: Qwen2VLImageProcessor
) -> dict[str, float]:
    """Teach the tower in place to classify what each token shows."""
    known = photographs("train")
    torch.manual_seed(0)
    classifier = Classifier(model.model.visual, processor)
    classifier.tower.patch_embed.requires_grad_(False)  # steps would soon destroy the filters
    sample = batches(Windows(known, 8, "frequencies"), 0)
    prepare(classifier, torch.cat([windows for windows, _ in sample]))
    validation = list(batches(Windows(photographs("validation"), CHECKED, "validation"), 0))
    cross_entropy = nn.functional.cross_entropy

    def loss_of(windows: Tensor, shown: Tensor) -> Tensor:
        families, severities, inside = classifier(windows)
        family, severity, region = shown.unbind(2)
        spoilt = family > 0
        return (
            cross_entropy(families.flatten(0, 1), family.flatten())
            + cross_entropy(severities[spoilt], severity[spoilt] - 1)
            + 0.5 * nn.functional.binary_cross_entropy_with_logits(inside, region.float())
        )

    return teach(
        "tower",
        classifier,
        classifier.tower.blocks,
        lambda step: batches(Windows(known, STEPS, "tower", sides=SIDES), step),
        loss_of,
        lambda: checked(classifier, validation),
        STEPS,
    )


class Answers:
    """What the language part is to write about the region in a window, as tokens.

    The chat of the caption stage without its instructions, and with windows for pictures: a sixth
    of the tokens. The first picture is that of another question, so that the second is looked at.

    Args:
        processor: of the model.
        contents: descriptions, drawn from at random; a window does not tell its place.
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

    def tokens(self, families: Tensor, severities: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Request and answer (B, L), and the same with all but the answer masked."""
        random = np.random.default_rng(seed_of("small", "contents", seed))
        texts = []
        for family, severity in zip(families.tolist(), severities.tolist(), strict=True):
            content = self.contents[int(random.integers(len(self.contents)))]
            named = [Distortion(family=FAMILIES[family - 1], severity=severity)] if family else []
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
    """The language part, shown windows by the tower, which stays as it is.

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


def teach_to_speak(model: Qwen2_5_VLForConditionalGeneration, processor: Any) -> dict[str, float]:
    """Teach the language part in place to answer about the region in a window."""
    known = examples.read(PLACE / "examples/train.jsonl")
    answers = Answers(processor, sorted({example.wanted.content for example in known}))
    torch.manual_seed(0)
    speaker = Speaker(model, processor)

    def questions(step: int, windows: Windows) -> Iterator[tuple[Tensor, ...]]:
        for number, (pixels, shown) in enumerate(batches(windows, step), step):
            yield pixels, *answers.tokens(*of_region(shown), number)

    def loss_of(pixels: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
        kinds = nn.functional.pad(answers.kinds, (0, ids.shape[1] - len(answers.kinds)))
        found = speaker(pixels, ids, answers.grids, kinds)
        at = labels[:, 1:] != IGNORED
        return nn.functional.cross_entropy(found[:, :-1][at].float(), labels[:, 1:][at])

    kept = Windows(photographs("validation"), CHECKED, "validation", inside=INSIDE)
    validation = list(questions(0, kept))

    @torch.no_grad()
    def check() -> dict[str, float]:
        return {"speech_loss": float(np.mean([loss_of(*batch).item() for batch in validation]))}

    learnt = Windows(photographs("train"), SPOKEN, "speech", inside=INSIDE)
    return teach(
        "speech",
        speaker,
        speaker.language.layers,
        lambda step: questions(step, learnt),
        loss_of,
        check,
        SPOKEN,
    )


def make_examples(data: Path) -> None:
    """Questions and answers by photographs, in PLACE/examples."""
    folders: list[str | Path] = []
    for name, root in SOURCES.items():
        where = ("--root", data / root) if root else ()
        run(*RSFIQA, "prepare", PLACE / name, "--layout", name, *where)
        run(*RSFIQA, "segment", PLACE / name)
        folders += ["--source", PLACE / name]
    made = (
        f"--views={VIEWS}",
        "--vary",
        "--two-distortions-fraction=0",
        f"--max-pixels={MAX_PIXELS}",
    )
    run(*RSFIQA, "teach", "data", PLACE / "examples", *folders, *made)


def taught() -> dict[str, float]:
    """Teach the language part by examples, test through vLLM; the figures of the test."""
    places, output = PLACE / "examples", PLACE / "taught"
    model = ("--model", PLACE / "base", "--method=full", "--frozen=.*visual.*")
    run(*RSFIQA, "teach", "train", places, "-o", output, *model, *flags(TRAINING))
    run(*RSFIQA, "teach", "test", places)
    served = (f"--weights={output / 'model'}", *flags(SERVED))
    run(*RSFIQA, "teach", "test", places, "--name=small", *served)
    figures = json.loads((places / "tests/small.test.json").read_text("utf-8"))
    del figures["examples"]
    weights = output / "model/model.safetensors"
    numbers = sum(value.numel() for value in load_file(weights).values())
    return figures | {"parameters_m": numbers / 1e6, "mb": weights.stat().st_size / 1e6}


def livec(data: Path) -> dict[str, float]:
    """What the pipeline reaches with the captions of the taught model."""
    caption = {name.replace("-", "_"): value for name, value in SERVED.items()}
    caption |= {"weights": str(PLACE / "taught/model"), "python": str(PYTHON)}
    changes = configuration(data, ["livec"])
    options = {"variants": ["full", "no_mllm"], "baselines": []}
    changes |= {"caption": caption, "benchmark": changes["benchmark"] | options}
    root = made_with(changes, FOLDER / "taught")
    srcc = float(np.median(column(root, "livec", "livec", "full", "srcc")))
    return {"livec_srcc_taught": srcc} | without(root, "no_mllm", "mllm_taught")


def main() -> None:
    """Teach the tower, then the language part; test; write the figures."""
    data = data_with("kodak")
    make_ready()
    tune_malloc(large=True)
    make_examples(data)
    base, card = PLACE / "base", PLACE / "base.json"
    if not card.is_file():
        model = untaught(base)
        processor = AutoProcessor.from_pretrained(base)
        processor.image_processor.size.longest_edge = MAX_PIXELS
        figures = teach_tower(model, processor.image_processor)
        figures |= teach_to_speak(model, processor)
        model.save_pretrained(base)
        processor.save_pretrained(base)
        write_json(card, figures)
    figures = json.loads(card.read_text("utf-8")) | taught()
    write("bench-small", figures | livec(data), "make bench-small DATA=DIR")


if __name__ == "__main__":
    main()
