"""The training images of several data sets together, each set with a scale of its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from rsfiqa.model import Batch, collate, joint_loss
from rsfiqa.samples import Samples

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingSet:
    """The training images of one data set.

    Attributes:
        batch: N images, on any device.
        quality: float (N,), MOS mapped to [0, 1], higher is better.
        mirrored: (N, 2, C, G, G), grid features of the mirrored images, mirrored back in place;
            None if there are none.
        distorted: (N, 2, C, G, G), grid features of distorted views of the images; None if there
            are none.
    """

    batch: Batch
    quality: Tensor
    mirrored: Tensor | None = None
    distorted: Tensor | None = None

    @classmethod
    def of(cls, data: Samples) -> "TrainingSet":
        """The images of a data set, without a copy."""
        return cls(data.batch, torch.from_numpy(data.quality), data.mirrored, data.distorted)

    def __len__(self) -> int:
        return len(self.batch)


class TrainingSets:
    """The images of all sets, numbered from 0: those of the first set, then those of the next.

    The sets stay as they are: together in one tensor they would be in memory twice.

    Args:
        sets: at least one, all of the same backbone, grid and text encoder.
    """

    def __init__(self, sets: Sequence[TrainingSet]) -> None:
        self.sets = sets
        self.ends = torch.tensor([len(one) for one in sets]).cumsum(0)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def dataset(self, index: Tensor) -> Tensor:
        """The number of the set of each image: int64 (n,).

        Args:
            index: int64 (n,), numbers of images, on the CPU.
        """
        return torch.bucketize(index, self.ends, right=True)

    def batch(self, index: Tensor) -> Batch:
        """The images at `index`, int64 (n,), in that order."""
        parts, order = self._divide(index, lambda one, local: one.batch.take(local))
        return parts[0] if len(parts) == 1 else collate(parts).take(order)

    def quality(self, index: Tensor) -> Tensor:
        """The quality of the images at `index`, int64 (n,), in that order: float (n,)."""
        parts, order = self._divide(index, lambda one, local: one.quality[local])
        return torch.cat(parts)[order]

    def views(self, name: str, index: Tensor) -> Tensor:
        """Views of the images at `index`, int64 (n,), in that order: (n, 2, C, G, G).

        Args:
            name: mirrored or distorted, which all sets must have; see `have`.
            index: numbers of images.
        """
        parts, order = self._divide(index, lambda one, local: getattr(one, name)[local])
        return parts[0] if len(parts) == 1 else torch.cat(parts)[order]

    def have(self, name: str) -> bool:
        """Whether all sets have these views, mirrored or distorted."""
        return all(getattr(one, name) is not None for one in self.sets)

    def _divide(
        self, index: Tensor, take: Callable[[TrainingSet, Tensor], T]
    ) -> tuple[list[T], Tensor]:
        """What `take` finds in each set that occurs, and the order that restores `index`."""
        numbers = self.dataset(index)
        parts, places = [], []
        for number, one in enumerate(self.sets):
            if len(place := (numbers == number).nonzero().flatten()):
                parts.append(take(one, index[place] - (self.ends[number] - len(one))))
                places.append(place)
        return parts, torch.cat(places).argsort()


class SetScales(nn.Module):
    """The scale of each added set: a line from the model's quality to that of the set.

    It starts as the identity and is learned with the model, of which it is no part.

    Args:
        added: number of added sets.
    """

    def __init__(self, added: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(added))
        self.offset = nn.Parameter(torch.zeros(added))

    def loss(self, predicted: Tensor, quality: Tensor, dataset: Tensor) -> Tensor:
        """The loss of a batch, see `joint_loss`.

        Args:
            predicted: float (..., B), predicted quality on the scale of the first set.
            quality: float (B,), targets, each on the scale of its own set.
            dataset: int64 (B,), number of each image's set; 0 is the first.
        """
        return joint_loss(predicted, quality, dataset, tuple(self._calibrations()))

    def _calibrations(self) -> Iterator[Tensor | None]:
        """Slope and offset of each set; None for the first, whose scale is the model's."""
        yield None
        yield from torch.stack([self.slope, self.offset], 1)
