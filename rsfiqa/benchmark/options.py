"""Options of the benchmark stage."""

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from rsfiqa.benchmark.baselines import BASELINES
from rsfiqa.options import Name, Options
from rsfiqa.registry import choice
from rsfiqa.vocabulary import VARIANTS, Variant

__all__ = ["BASELINES", "BaselineName", "BenchmarkOptions", "Method"]

if TYPE_CHECKING:
    BaselineName = str
else:
    BaselineName = choice(BASELINES)


def _check_method(name: str) -> str:
    """The name itself, if it is a variant of the model or a baseline.

    Raises:
        ValueError: it is not; names those that are.
    """
    methods = (*VARIANTS, *BASELINES)
    if name not in methods:
        raise ValueError(f"input should be one of {', '.join(methods)}")
    return name


Method = Annotated[str, AfterValidator(_check_method)]


class BenchmarkOptions(Options):
    """Which methods are tested on which data sets."""

    datasets: tuple[Name, ...] = Field(
        ("demo",), min_length=1, description="Data sets to train and test on, by random splits."
    )
    splits: int = Field(
        10, ge=1, le=1000, description="Number of random splits by group of each data set."
    )
    batch_splits: bool = Field(
        False,
        description="Train on all random splits of a data set in one job per variant, which saves"
        " the start of a process per split: for data sets of a few thousand images or fewer.",
    )
    test_fraction: float = Field(
        0.2, gt=0, lt=1, description="Fraction of images in the test part of a random split."
    )
    official: tuple[Name, ...] = Field(
        (),
        description="Data sets to train and test on their official split instead, with several"
        " seeds; the training part is everything outside the official test part.",
    )
    variants: tuple[Variant, ...] = Field(
        ("full", "no_mhf", "no_mllm", "no_rsa"),
        min_length=1,
        description="Variants of the model to train and test: full, or without multi-scale"
        " features (no_mhf), captions (no_mllm), region attention (no_rsa), or all three (none).",
    )
    baselines: tuple[BaselineName, ...] = Field(
        ("probe",),
        description="Other methods to fit and test on the same splits: "
        + "; ".join(f"{name} is {entry.description}" for name, entry in BASELINES.items())
        + ".",
    )
    cross: bool = Field(
        True, description="Also train on all of each data set and test on all of each other one."
    )
    seeds: int = Field(
        10,
        ge=1,
        le=1000,
        description="Number of trainings, which differ in their seed, across data sets and on an"
        " official split.",
    )

    @property
    def cross_methods(self) -> list[str]:
        """The methods that are tested across data sets: no variant without a part of the model."""
        ablated = set(VARIANTS) - {"full"}
        return [name for name in (*self.variants, *self.baselines) if name not in ablated]

    @property
    def tests_across(self) -> bool:
        """Whether models are trained on one data set and tested on another."""
        return self.cross and len(self.datasets) > 1 and bool(self.cross_methods)
