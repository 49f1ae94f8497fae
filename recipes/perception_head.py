"""The head of the captioner `classifier`: families, severities and qualities of regions.

Run after recipes.perception, whose backbone it keeps. Writes the head into
rsfiqa/packaged/perception.safetensors, from regions as the default segmenter cuts them: of rated
and of distorted photographs of BIQ2021's training part, and of distorted ones of Kodak's training
part and of installed packages. The features take about 25 minutes on two cores and are resumed; the
training takes 12 minutes on one.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from benchmarks.figures import FOLDER, add_data, parser
from recipes import perception_regions
from recipes.perception import DROP, MAX_GRADIENT_NORM, MOST_DROP, WARMUP, WHOLE_DROP, photographs
from recipes.perception_examples import FAMILIES, WATERMARK
from recipes.perception_others import (
    LadderMaker,
    OtherMaker,
    RatedLadderMaker,
    pristine_photographs,
)
from recipes.perception_regions import Example, Maker
from rsfiqa.backbones import PERCEPTION
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.backbones.weights import PERCEPTION_BACKBONE, PERCEPTION_FILE
from rsfiqa.captioners.classifier.network import (
    MIN_STD,
    Perception,
    PerceptionHead,
    beside_image,
)
from rsfiqa.captioners.classifier.weights import write
from rsfiqa.model.loss import plcc_loss
from rsfiqa.train.optim import warmup_cosine

FILES = 270  # of examples
OTHER_FILES = 130  # of examples of other photographs
LADDERS, RATED_LADDERS = 63, 80  # files of ladders of other and of rated photographs
EPOCHS, BATCH = 12, 30  # photographs of each kind in a step
LR, WEIGHT_DECAY = 1e-3, 0.02
STATES = 2000  # from whose features the bins of their encoding follow
SEED = 0
WATERMARKS = FAMILIES.index(WATERMARK)
MARKED = 0.2  # fraction of a region that a watermark covers, from which it is wholly marked
# A region's weight grows with its area up to a fraction of the image, so that small regions count
# too.
LEAST_WEIGHT, WEIGHT_PER_AREA = 0.3, 3.0
PRESENCE, SEVERITY, CONSISTENCY = 3.0, 8.0, 0.3  # weights of losses


def main(arguments: Sequence[str]) -> None:
    """Make the examples that are not there, train, write."""
    options = parser(__name__, __doc__)
    add_data(options, "biq2021", "kodak")
    options.add_argument("--files", type=int, default=FILES, help="of examples")
    options.add_argument("--worker", type=int, nargs=2, default=(0, 1), metavar=("K", "N"))
    options.add_argument("--make-only", action="store_true", help="make the examples and stop")
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    training, _ = photographs(given.data)
    backbone = load_backbone(PERCEPTION_BACKBONE, PERCEPTION)
    folder = FOLDER / "perception_head"
    maker = Maker(training, backbone)
    pristine = pristine_photographs(given.data)
    further: dict[str, tuple[Maker, int]] = {  # maker, number of files
        "others": (OtherMaker(pristine, backbone), OTHER_FILES),
        "ladders": (LadderMaker(pristine, backbone), LADDERS),
        "rated_ladders": (RatedLadderMaker(training, backbone), RATED_LADDERS),
    }
    perception_regions.make(maker, folder, given.files, worker=given.worker)
    for name, (other, files) in further.items():
        perception_regions.make(other, folder / name, files, rated=False, worker=given.worker)
    if given.make_only:
        return
    data = prepare(perception_regions.read(folder, given.files), backbone.channels)
    for name, (_, files) in further.items():
        own = prepare(perception_regions.read(folder / name, files), backbone.channels)
        data.distorted.extend(own.distorted)
    torch.manual_seed(SEED)
    perception = Perception(backbone, FAMILIES)
    train(perception.head, data, epochs=EPOCHS)
    write(PERCEPTION_FILE, perception.eval())


@dataclass(frozen=True, eq=False)
class State:
    """One state of a photograph.

    Attributes:
        features: float16 (R + 1, n) of its regions, and of the whole beside itself.
        area: float32 (R,).
        severity: float32 (F,), of each family where it is, 0 if it is nowhere.
        covered: float32 (R, F), fraction of each region in which it is; of a watermark, in
            `MARKED`, 1 at most.
    """

    features: Tensor
    area: Tensor
    severity: Tensor
    covered: Tensor

    @property
    def distorted(self) -> bool:
        """Whether any region is."""
        return bool(self.severity.any())

    @property
    def total(self) -> Tensor:
        """Mean over each region of the sum of all severities, float32 (R,)."""
        return self.covered @ self.severity


@dataclass(frozen=True, eq=False)
class Prepared:
    """Examples as they are trained on.

    Attributes:
        distorted: of each distorted photograph the states, as it is first.
        rated: rated photographs.
        mos: float32, their opinions.
    """

    distorted: list[list[State]]
    rated: list[State]
    mos: Tensor


def prepare(examples: Iterable[Example], channels: Sequence[int]) -> Prepared:
    """The examples with the features that the head is given."""
    distorted, rated, mos = [], [], []
    for example in examples:
        count, regions = example["maps"].shape[:2]
        nothing = torch.zeros(regions, len(FAMILIES))
        severity = example.get("severity", nothing[:1].expand(count, -1))
        covered = example.get("covered", nothing).clone()
        covered[:, WATERMARKS] = (covered[:, WATERMARKS] / MARKED).clamp_max(1)
        states = [
            State(
                features=features_beside(maps.float(), pixels, example["area"], channels),
                area=example["area"],
                severity=own,
                covered=covered * (own > 0),
            )
            for maps, pixels, own in zip(example["maps"], example["pixels"], severity, strict=True)
        ]
        if "mos" in example:
            mos.append(float(example["mos"]))
            rated += states
        else:
            distorted.append(states)
    return Prepared(distorted, rated, torch.tensor(mos))


def features_beside(maps: Tensor, pixels: Tensor, area: Tensor, channels: Sequence[int]) -> Tensor:
    """What the head is given of each region, and of the whole: float16 (R + 1, n).

    Args:
        maps: of `map_features`, (R, 2 * C).
        pixels: of `pixel_features`, (R, S).
        area: (R,), adds up to 1.
        channels: of each map.
    """
    whole = []
    parts = torch.split(maps, [c for c in channels for _ in ("mean", "std")], 1)
    for mean, std in zip(parts[::2], parts[1::2], strict=True):
        center = area @ mean
        spread = area @ (std.square() + mean.square()) - center.square()
        whole += [center, spread.clamp_min(0).sqrt()]
    image = torch.cat([*whole, area @ pixels])
    regions = torch.cat([torch.cat([maps, pixels], 1), image[None]])
    return beside_image(regions, image).half()


def train(head: PerceptionHead, data: Prepared, *, epochs: int, batch: int = BATCH) -> None:
    """Train a head in place."""
    standardise(head, data)
    torch.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    optimizer = torch.optim.AdamW(head.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    batch = min(batch, len(data.distorted), len(data.rated))
    per_epoch = len(data.distorted) // batch
    schedule = warmup_cosine(optimizer, steps=epochs * per_epoch, warmup=WARMUP)
    head.train()
    with tqdm(range(epochs), "head", mininterval=10) as progress:
        for _ in progress:
            order = random.permutation(len(data.distorted))
            for step in range(per_epoch):
                chosen = order[step * batch : (step + 1) * batch]
                rated = random.choice(len(data.rated), batch, replace=False)
                losses = step_losses(head, data, chosen, rated)
                optimizer.zero_grad()
                torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(head.parameters(), MAX_GRADIENT_NORM)
                optimizer.step()
                schedule.step()
            progress.set_postfix({name: f"{float(x.detach()):.3f}" for name, x in losses.items()})


def standardise(head: PerceptionHead, data: Prepared) -> None:
    """Set the scale of the head's inputs and outputs, and the bins of those that are encoded."""
    states = [states[0] for states in data.distorted] + data.rated
    features = torch.cat([state.features[:-1].float() for state in states])
    std, mean = torch.std_mean(features, dim=0)
    head.mean.copy_(mean)
    head.std.copy_(std.clamp_min(MIN_STD))
    every = [state for states in data.distorted for state in states] + data.rated
    order = np.random.default_rng(SEED).permutation(len(every))
    some = torch.cat([every[number].features[:-1] for number in order[:STATES]]).float()
    levels = torch.linspace(0, 1, head.edges.shape[1])
    head.edges.copy_(head.of_pixels(some).quantile(levels, dim=0).T)
    head.scale.copy_(torch.stack([data.mos.mean(), data.mos.std()]))


def step_losses(
    head: PerceptionHead, data: Prepared, distorted: np.ndarray, rated: np.ndarray
) -> dict[str, Tensor]:
    """Losses of a step, by name.

    Args:
        head: to be trained.
        data: of the training.
        distorted: numbers of distorted photographs, int (n,).
        rated: numbers of rated photographs, int (m,).
    """
    groups = [data.distorted[number] for number in distorted]
    states = [state for group in groups for state in group]
    known = len(states)
    states += [data.rated[number] for number in rated]
    found = head(torch.cat([state.features for state in states]).float())
    sizes = [len(state.area) + 1 for state in states]
    outputs = [
        dict(zip(found, parts, strict=True))
        for parts in zip(*(values.split(sizes) for values in found.values()), strict=True)
    ]
    opinion = opinion_loss(outputs[known:], states[known:], data.mos[torch.from_numpy(rated)], head)
    presence, severity = family_losses(outputs[:known], states[:known])
    drops, wholes, consistency = [], [], []
    rest = iter(outputs)
    for group in groups:
        own = [(next(rest), state) for state in group]
        intact = [one for one, state in own if not state.distorted]
        changed = [(one, state) for one, state in own if state.distorted]
        for k, (one, state) in enumerate(changed):
            before = intact[min(k, len(intact) - 1)]
            drops.append(drop(before, one, state))
            wholes.append(whole_drop(before, one, state))
        for pair in (intact, [one for one, _ in changed]):
            if len(pair) == 2:  # the same pixels, stored otherwise
                consistency.append(difference(pair[0], pair[1], group[0].area))
    inside, weight = (torch.stack(each) for each in zip(*drops, strict=True))
    return {
        "opinion": opinion,
        "presence": PRESENCE * presence,
        "severity": SEVERITY * severity,
        "drop": 0.5 * inside.sum() / weight.sum() + 0.25 * torch.stack(wholes).mean(),
        "consistency": CONSISTENCY * torch.stack(consistency or [torch.zeros(())]).mean(),
    }


Outputs = dict[str, Tensor]


def opinion_loss(
    outputs: Sequence[Outputs], states: Sequence[State], mos: Tensor, head: PerceptionHead
) -> Tensor:
    """Loss of the opinions of wholes, and of the means of their regions."""
    target = (mos - head.scale[0]) / head.scale[1]
    whole = torch.stack([one["quality"][-1] for one in outputs])
    mean = torch.stack(
        [state.area @ one["quality"][:-1] for one, state in zip(outputs, states, strict=True)]
    )
    losses = [
        functional.smooth_l1_loss(quality, target) + plcc_loss(quality, target)
        for quality in (whole, mean)
    ]
    return losses[0] + 0.5 * losses[1]


def family_losses(outputs: Sequence[Outputs], states: Sequence[State]) -> tuple[Tensor, Tensor]:
    """Losses of the presence of families, and of their severity where they are.

    A family is as probable in a region as the fraction of it that it covers.
    """
    truth = torch.cat([state.severity.expand_as(state.covered) for state in states])
    present = torch.cat([state.covered for state in states])
    area = torch.cat([state.area for state in states])
    weight = (LEAST_WEIGHT + WEIGHT_PER_AREA * area).clamp_max(1)[:, None]
    logits, severity = (
        torch.cat([one[name][:-1] for one in outputs]) for name in ("presence", "severity")
    )
    entropy = functional.binary_cross_entropy_with_logits(logits, present, reduction="none")
    error = functional.smooth_l1_loss(severity / 2, truth / 2, reduction="none") * present
    return (
        (entropy * weight).sum() / weight.sum(),
        (error * weight).sum() / (present * weight).sum().clamp_min(1),
    )


def drop(before: Outputs, after: Outputs, state: State) -> tuple[Tensor, Tensor]:
    """By how much the quality of distorted regions falls too little, and their area."""
    area = state.area * state.covered.amax(1)
    least = (DROP * state.total).clamp_max(MOST_DROP)
    missing = functional.relu(least - (before["quality"] - after["quality"])[:-1])
    return area @ missing, area.sum()


def whole_drop(before: Outputs, after: Outputs, state: State) -> Tensor:
    """By how much the quality of a distorted image falls too little."""
    least = WHOLE_DROP * state.total.max()
    return functional.relu(least - (before["quality"] - after["quality"])[-1])


def difference(first: Outputs, second: Outputs, area: Tensor) -> Tensor:
    """By how much the answers to two states of the same pixels differ."""
    expected = [one["presence"].sigmoid() * one["severity"] for one in (first, second)]
    quality = (first["quality"] - second["quality"])[:-1].square()
    return area @ ((expected[0] - expected[1])[:-1].square().sum(1) + quality)


if __name__ == "__main__":
    main(sys.argv[1:])
