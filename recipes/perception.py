"""The backbone of the captioner `classifier`, which comes with the package.

Writes rsfiqa/packaged/perception.safetensors, whose head recipes.perception_head then trains on
regions. Opinions of BIQ2021's training part and realistic distortions of its well-rated photographs
are learned at once, in one network; no other data set is read. About three hours on two cores; an
interrupted training is resumed from its last saved step.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from tqdm import tqdm

from benchmarks.figures import FOLDER, RELEASES, add_data, parser
from recipes.perception_examples import FAMILIES, Examples, Step
from rsfiqa.architecture import CLIP
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.backbones.weights import PERCEPTION_BACKBONE, PERCEPTION_FILE
from rsfiqa.captioners.classifier.network import (
    MIN_STD,
    FamilyOutputs,
    Perception,
    map_features,
)
from rsfiqa.captioners.classifier.weights import read, write
from rsfiqa.datasets import biq2021
from rsfiqa.datasets.entry import Entry
from rsfiqa.io.atomic import atomic
from rsfiqa.model.loss import plcc_loss
from rsfiqa.splits import TEST
from rsfiqa.train.optim import average_weights, warmup_cosine

STEPS = 3000
FROZEN = ("conv_stem", "bn1", "blocks.0", "blocks.1")  # edges and colors; half of a step's time
LR, HEAD_LR, LAYER_DECAY, EMA = 2e-4, 1e-3, 0.85, 0.995
WARMUP = 0.05
MAX_GRADIENT_NORM = 5.0
SAVE_EVERY = 50
SEED = 7
HELD_OUT = 500  # of the training part, never trained on
# By how much, in deviations of the opinions, quality must fall for a unit of severity.
DROP, WHOLE_DROP = 0.25, 0.05
MOST_DROP = 2.0


def main(arguments: Sequence[str]) -> None:
    """Train, or go on with it, and write the weights."""
    options = parser(__name__, __doc__)
    add_data(options, "biq2021")
    options.add_argument("--steps", type=int, default=STEPS, help="of the training")
    options.add_argument(
        "--start", type=Path, help="perception to start from; ImageNet's weights by default"
    )
    options.add_argument("--threads", type=int, default=2, help="of the training")
    given = options.parse_args(arguments)
    torch.set_num_threads(given.threads)
    start = load_start(given.start)
    training, _ = photographs(given.data)
    train(training, start, FOLDER / "perception", PERCEPTION_FILE, steps=given.steps)


def photographs(data: Path) -> tuple[list[Entry], list[Entry]]:
    """BIQ2021's training part without the images held out, and these, by which choices are made.

    Args:
        data: folder that holds BIQ2021.
    """
    opinions = [entry for entry in biq2021.read(data / RELEASES["biq2021"]) if entry.subset != TEST]
    order = np.random.default_rng(SEED).permutation(len(opinions))
    shuffled = [opinions[i] for i in order]
    return shuffled[HELD_OUT:], shuffled[:HELD_OUT]


class MapHead(FamilyOutputs):
    """Outputs for regions by the features of the maps alone.

    Args:
        features: number of features.
        hidden: units of its layer.

    Attributes:
        mean: float (features,), of the features of training images.
        std: float (features,), likewise their standard deviation.
        scale: float (2,), mean and standard deviation of the opinions trained on, quality.
    """

    mean: Tensor
    std: Tensor
    scale: Tensor

    def __init__(self, features: int, hidden: int = 256) -> None:
        super().__init__(hidden, len(FAMILIES))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.register_buffer("scale", torch.tensor([0.5, 0.2]))
        self.shared = nn.Sequential(
            nn.Dropout(0.1), nn.Linear(features, hidden), nn.GELU(), nn.Dropout(0.3)
        )

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """As `FamilyOutputs.outputs`, for features (..., features)."""
        standardised = ((features - self.mean) / self.std).clamp(-CLIP, CLIP)
        return self.outputs(self.shared(standardised))


class Learner(nn.Module):
    """A backbone, and a head on its maps alone by which it learns."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone, self.network = backbone, backbone.network
        self.head = MapHead(2 * sum(backbone.channels))


def load_start(path: Path | None) -> Learner:
    """The network to be trained: on the backbone of a perception's file, or on ImageNet's."""
    if path is None:
        return Learner(load_backbone(PERCEPTION_BACKBONE, "packaged"))
    return Learner(read(path).backbone)


def train(
    opinions: Sequence[Entry],
    network: Learner,
    output: Path,
    target: Path,
    *,
    steps: int,
    save_every: int = SAVE_EVERY,
) -> None:
    """Train and write a perception; a training that was killed goes on to the same weights.

    Args:
        opinions: photographs with opinions.
        network: to be trained.
        output: folder for the state between steps.
        target: file that takes the averaged weights when all steps are done.
        steps: of the training.
        save_every: steps between two saved states.
    """
    examples = Examples(opinions, SEED)
    network.network.to(memory_format=torch.channels_last)
    network.requires_grad_(True)
    for name, parameter in network.network.named_parameters():
        parameter.requires_grad_(not name.startswith(FROZEN))
    if not network.head.mean.any():
        standardise(network, examples)
    optimizer = torch.optim.AdamW(parameter_groups(network))
    schedule = warmup_cosine(optimizer, steps=steps, warmup=WARMUP)
    average = average_weights(network, EMA)
    parts = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    first = resume(output / "state.pt", parts)
    loader: DataLoader[Step] = DataLoader(
        examples,
        sampler=range(first, steps),
        batch_size=None,
        num_workers=1,
        prefetch_factor=3,
    )
    recent: list[list[float]] = []
    with tqdm(loader, "perception", total=steps, initial=first, mininterval=10) as progress:
        for number, step in enumerate(progress, start=first):
            set_training(network)
            torch.manual_seed(number)
            losses = step_losses(network, step)
            optimizer.zero_grad()
            sum(losses.values()).backward()  # type: ignore[union-attr]
            nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            recent.append([float(loss.detach()) for loss in losses.values()])
            means = np.mean(recent[-SAVE_EVERY:], axis=0)
            progress.set_postfix({name: f"{x:.3f}" for name, x in zip(losses, means, strict=True)})
            if (number + 1) % save_every == 0:
                save(output / "state.pt", number + 1, parts)
    learned = cast(Learner, average.module)
    torch.manual_seed(SEED)  # of the head, which is trained by a recipe of its own
    write(target, Perception(learned.backbone, FAMILIES).eval())


def standardise(network: Learner, examples: Examples) -> None:
    """Set the scale of the head's inputs and outputs from training images."""
    network.eval()
    features = []
    with torch.inference_mode():
        for number in range(8):
            pixels = torch.from_numpy(examples[number].pixels)
            masks = torch.ones(len(pixels), 1, *pixels.shape[2:])
            features.append(map_features(network.backbone.pixel_maps(pixels), masks)[:, 0])
    std, mean = torch.std_mean(torch.cat(features), dim=0)
    network.head.mean.copy_(mean)
    network.head.std.copy_(std.clamp_min(MIN_STD))
    network.head.scale.copy_(torch.tensor([examples.mos.mean(), examples.mos.std()]))


def set_training(network: Learner) -> None:
    """Set the training mode; batch normalization keeps its running statistics."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def parameter_groups(network: Learner) -> list[dict[str, object]]:
    """Parameters with learning rates that fall from the last block of the backbone to the first."""
    trained = {n: p for n, p in network.network.named_parameters() if p.requires_grad}
    depth = {name: int(name.split(".")[1]) for name in trained}
    last = max(depth.values())
    groups: list[dict[str, object]] = [
        {
            "params": [p for name, p in trained.items() if depth[name] == level],
            "lr": LR * LAYER_DECAY ** (last - level),
            "weight_decay": 0.01,
        }
        for level in sorted(set(depth.values()))
    ]
    return [*groups, {"params": network.head.parameters(), "lr": HEAD_LR, "weight_decay": 0.02}]


def step_losses(network: Learner, step: Step) -> dict[str, Tensor]:
    """Losses of a step, by name.

    The masks of an image are the whole of it, its distorted region and the rest. Opinions are those
    of the whole; a family is present in the distorted region of a distorted crop and nowhere else.
    """
    pixels = torch.from_numpy(step.pixels).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = network.backbone.pixel_maps(pixels)
    found = network.head(map_features(maps, torch.from_numpy(step.masks)))
    rated, pairs = len(step.opinions), len(step.severity)
    target = (torch.from_numpy(step.opinions) - network.head.scale[0]) / network.head.scale[1]
    quality = found["quality"]
    opinion = functional.smooth_l1_loss(quality[:rated, 0], target) + plcc_loss(
        quality[:rated, 0], target
    )

    severity = torch.from_numpy(step.severity)  # (pairs, F)
    everywhere = torch.from_numpy(step.everywhere)[:, None]
    truth = torch.zeros(2 * pairs, 2, severity.shape[1])
    truth[pairs:, 0] = severity
    truth[pairs:, 1] = severity * everywhere
    present = (truth > 0).float()
    presence = functional.binary_cross_entropy_with_logits(
        found["presence"][rated:, 1:], present, reduction="none"
    )
    error = functional.smooth_l1_loss(
        found["severity"][rated:, 1:] / 2, truth / 2, reduction="none"
    )

    intact, distorted = quality[rated : rated + pairs], quality[rated + pairs :]
    total = severity.sum(1)
    inside = functional.relu((DROP * total).clamp_max(MOST_DROP) - (intact - distorted)[:, 1])
    whole = functional.relu(WHOLE_DROP * total - (intact - distorted)[:, 0])
    return {
        "opinion": opinion,
        "presence": 0.5 * presence.sum(-1).mean(),
        "severity": 0.5 * (error * present).sum() / present.sum().clamp_min(1),
        "drop": 0.5 * inside.mean() + 0.25 * whole.mean(),
    }


def resume(path: Path, parts: dict[str, object]) -> int:
    """Take up a saved training; return the step at which it goes on, 0 without one."""
    if not path.is_file():
        return 0
    saved = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(saved[name])  # type: ignore[attr-defined]
    return int(saved["step"])


def save(path: Path, step: int, parts: dict[str, object]) -> None:
    """Save a training, atomically."""
    states = {name: part.state_dict() for name, part in parts.items()}  # type: ignore[attr-defined]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as partial:
        torch.save({"step": step, **states}, partial)


if __name__ == "__main__":
    main(sys.argv[1:])
