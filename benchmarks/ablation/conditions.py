"""The conditions and comparisons that docs/experiments/ablation.md fixed beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rsfiqa.errors import InputError
from rsfiqa.splits import split_name
from rsfiqa.vocabulary import VARIANTS

Division = Literal["split", "draw", "all"]
SEED, TEST_FRACTION = 0, 0.2
CURVE = (25, 50, 100, 200, 400, 930)
LARGE = 5000  # of BIQ2021
DRAWS = 20
LIVEC, BIQ2021, AGIQA3K, MMP2K, REGIONS = "livec", "biq2021", "agiqa3k", "mmp2k", "kodak_regions"
ORACLE, SHUFFLED = "oracle", "shuffled"  # captions of MMP-2k from people's statements
LOCALIZATION, ORDERING = "localization", "ordering"
UNSEEN = (AGIQA3K, MMP2K, REGIONS)


@dataclass(frozen=True)
class Condition:
    """Models that are trained and tested in one way, several times.

    Attributes:
        name: such as b.livec.n100.
        train: the set to train on, whose scale the scores have, and sets that are added.
        tests: sets to test on; the test part of the split if `division` is split.
        number: of splits, draws or trainings.
        division: split: random splits by group; draw: random parts of the training images;
            all: all training images, with another seed each time.
        n: number of training images; None for all of the part, or 80 % of a draw.
        variants: of the model, or `ORACLE` and `SHUFFLED`.
    """

    name: str
    train: tuple[str, ...]
    tests: tuple[str, ...]
    number: int
    division: Division
    n: int | None = None
    variants: tuple[str, ...] = VARIANTS

    @property
    def part(self) -> str:
        """Its letter in the protocol."""
        return self.name[0]

    @property
    def splits(self) -> list[str]:
        """The names of its units, in their order."""
        return [split_name(self.division, i) for i in range(self.number)]

    @property
    def sets(self) -> list[str]:
        """The sets whose products it reads."""
        oracle = [f"{MMP2K}_{name}" for name in (ORACLE, SHUFFLED) if name in self.variants]
        return list(dict.fromkeys([*self.train, *self.tests, *oracle]))


def conditions(curve: Sequence[int] = CURVE, large: int = LARGE) -> list[Condition]:
    """All conditions, in the order in which they are run.

    Args:
        curve: numbers of training images of the label-count curve on LIVEC.
        large: number of training images of BIQ2021.
    """
    counts = [Condition(f"b.{LIVEC}.n{n}", (LIVEC,), (LIVEC,), DRAWS, "split", n) for n in curve]
    first = [one for one in counts if one.n == 100]
    oracle = ("full", ORACLE, SHUFFLED, "no_mllm")
    return [
        Condition(f"a.{LIVEC}", (LIVEC,), (LIVEC,), 10, "split"),
        *first,
        Condition(f"c.{LIVEC}", (LIVEC,), UNSEEN, 5, "all"),
        Condition(f"e.{MMP2K}", (MMP2K,), (MMP2K,), 10, "split", variants=oracle),
        # apart from the other tests: BIQ2021 has four fifths of all images whose products it needs
        Condition(f"c.{LIVEC}.{BIQ2021}", (LIVEC,), (BIQ2021,), 5, "all"),
        Condition(f"a.{BIQ2021}", (BIQ2021,), (BIQ2021, LIVEC, *UNSEEN), 10, "draw"),
        *(one for one in counts if one not in first),
        Condition(f"f.{LIVEC}", (LIVEC,), (), 1, "all"),
        Condition("c.both", (LIVEC, BIQ2021), UNSEEN, 5, "all"),
        Condition(f"b.{BIQ2021}.n{large}", (BIQ2021,), (BIQ2021,), DRAWS, "draw", large),
    ]


@dataclass(frozen=True)
class Comparison:
    """Two variants of a condition on the images of a test set.

    Attributes:
        condition: name of the condition.
        test: set that is tested on, or a fine-grained task.
        first: variant that is expected to be better.
        second: variant without the part.
        tag: tag of the images; empty for all. One that begins with ! excludes them.
        measure: srcc, or hit: the mean of trials that are right.
        primary: number in the protocol; 0 for an exploratory one.
    """

    condition: str
    test: str
    first: str
    second: str
    tag: str = ""
    measure: Literal["srcc", "hit"] = "srcc"
    primary: int = 0


PARTS = {"no_mhf": "MHF", "no_mllm": "captions", "no_rsa": "RSA", "none": "all three"}
IN_PART = "stated_in_part"  # MMP-2k: a statement is about a part of the image
WHOLE = "not_in_part"
_PRIMARY = {
    (f"a.{LIVEC}", LIVEC, "no_mhf", ""): 1,
    (f"a.{BIQ2021}", BIQ2021, "no_mhf", ""): 2,
    (f"c.{LIVEC}", MMP2K, "no_mhf", ""): 3,
    (f"b.{LIVEC}.n100", LIVEC, "no_mllm", ""): 4,
    (f"c.{LIVEC}", AGIQA3K, "no_mllm", ""): 5,
    (f"c.{LIVEC}", MMP2K, "no_mllm", IN_PART): 6,
    (f"a.{BIQ2021}", BIQ2021, "no_rsa", ""): 8,
    (f"c.{LIVEC}", MMP2K, "no_rsa", IN_PART): 9,
    (f"c.{LIVEC}", REGIONS, "no_rsa", ""): 10,
}
WORDS = {  # of the primary comparisons' conditions, sets and tags
    f"a.{LIVEC}": "80 % of LIVEC",
    f"a.{BIQ2021}": "80 % of BIQ2021's training part",
    f"b.{LIVEC}.n100": "100 images of LIVEC",
    f"c.{LIVEC}": "all of LIVEC",
    f"e.{MMP2K}": "80 % of MMP-2k",
    LIVEC: "LIVEC",
    BIQ2021: "BIQ2021's test part",
    AGIQA3K: "AGIQA-3K",
    MMP2K: "MMP-2k",
    REGIONS: "Kodak, one region distorted (pseudo-MOS)",
    IN_PART: "fault in one part",
}
TAGS = {MMP2K: ("", IN_PART, WHOLE), BIQ2021: ("", "ss02", "!ss01")}


def comparisons(known: Sequence[Condition]) -> list[Comparison]:
    """All comparisons of the protocol, the primary ones first."""
    found = [one for condition in known for one in _comparisons_of(condition)]
    return sorted(found, key=lambda one: one.primary or 100)


def _comparisons_of(condition: Condition) -> list[Comparison]:
    name = condition.name
    if condition.part == "e":
        others = {"no_mllm": 7, "full": 0, SHUFFLED: 0}
        oracle = [
            Comparison(name, MMP2K, ORACLE, other, primary=number)
            for other, number in others.items()
        ]
        return [*oracle, Comparison(name, MMP2K, "full", "no_mllm")]
    if condition.part == "f":
        return [
            Comparison(name, task, "full", without, measure="hit")
            for task in (LOCALIZATION, ORDERING)
            for without in PARTS
        ]
    found = [
        Comparison(
            *(name, test, "full", without, tag),
            primary=_PRIMARY.get((name, test, without, tag), 0),
        )
        for test in condition.tests
        for tag in TAGS.get(test, ("",))
        for without in PARTS
    ]
    if MMP2K in condition.tests:
        found += [
            Comparison(name, MMP2K, "full", without, measure="hit")
            for without in ("no_mhf", "no_mllm")
        ]
    return found


def check_size(condition: Condition, available: int) -> None:
    """Refuse a number of training images that the set does not have.

    Args:
        condition: with its number of training images.
        available: images that may be trained on.

    Raises:
        InputError: names the condition and both numbers.
    """
    if condition.n is not None and condition.n > available:
        raise InputError(
            f"{condition.name}: n must be at most {available}, the training images of"
            f" {condition.train[0]}, found {condition.n}; give smaller numbers by --n"
        )
