"""Options of the benchmark stage."""

from typing import Literal

from pydantic import Field

from rsfiqa.options import Name, Options
from rsfiqa.vocabulary import Variant

Baseline = Literal["brisque", "mlp", "probe"]


class BenchmarkOptions(Options):
    """What is trained and tested on what."""

    datasets: tuple[Name, ...] = Field(
        ("demo",), min_length=1, description="Data sets to train and test on, by random splits."
    )
    splits: int = Field(10, ge=1, le=1000, description="Random splits by group of each data set.")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="Share of images in the test part.")
    official: tuple[Name, ...] = Field(
        (),
        description="Data sets that are trained and tested on their official split instead, with"
        " several seeds; trained on is all that is not its test part.",
    )
    variants: tuple[Variant, ...] = Field(
        ("full", "no_mhf", "no_mllm", "no_rsa"),
        min_length=1,
        description="The model, and what is taken from it: multi-scale features, captions,"
        " region attention, or all three.",
    )
    baselines: tuple[Baseline, ...] = Field(
        ("probe",),
        description="Other methods on the same splits: probe is a support vector regression on"
        " the frozen backbone's whole-image statistics, mlp a network on its mean-pooled features,"
        " brisque a support vector regression on BRISQUE's features.",
    )
    cross: bool = Field(
        True, description="Also train on all of each data set and test on all of each other."
    )
    seeds: int = Field(
        10,
        ge=1,
        le=1000,
        description="Trainings behind a median across data sets, or of an official split.",
    )
