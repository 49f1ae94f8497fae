"""Check the data sets of config.yaml, before any of their images is opened."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rsfiqa.backbones import PERCEPTION
from rsfiqa.backbones.weights import PERCEPTION_FILE
from rsfiqa.benchmark.perception import check_perception
from rsfiqa.captioners import CAPTIONERS
from rsfiqa.datasets.registry import DATASETS
from rsfiqa.errors import InputError
from rsfiqa.io.home import expand_home
from rsfiqa.prepare.entries import mos_scale_of, read_entries
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products.paths import RESERVED

if TYPE_CHECKING:
    from rsfiqa.workflow.configuration import Config


def check_name(name: str, key: str) -> None:
    """Raise where a data set or a run has the name of another folder of results.

    Args:
        name: of the data set or the run.
        key: section of the configuration, for the message.

    Raises:
        InputError: a name that is not free.
    """
    if name in RESERVED:
        raise InputError(
            f"{key} must have other names than {', '.join(RESERVED)}, which are folders of results,"
            f" found {name!r}; rename it"
        )


def check_datasets(config: "Config", source: str) -> None:
    """Raise where data sets cannot be used as the sections `benchmark` and `teach` name them.

    Args:
        config: the whole configuration.
        source: file name for messages.

    Raises:
        InputError: a name that is not free, stands twice or is not described; a data set without
            scores or an official split where they are needed; a missing or wrong root or mos_range;
            a test on images that the captioner or the backbone was trained on.
    """
    benchmark, teach = config.benchmark, config.teach
    for name in config.datasets:
        check_name(name, f"{source}: datasets")
    for key, names, known, section in (
        ("benchmark.datasets", benchmark.datasets, config.datasets, "datasets"),
        ("benchmark.official", benchmark.official, benchmark.datasets, "benchmark.datasets"),
        ("teach.datasets", teach.datasets, config.datasets, "datasets"),
    ):
        for name in names:
            if name not in known:
                raise InputError(
                    f"{source}: {key} must name entries of {section}, found {name!r}; add it there"
                    f" or use one of {', '.join(sorted(known))}"
                )
    for key, given in (
        ("benchmark.datasets", benchmark.datasets),
        ("benchmark.official", benchmark.official),
        ("benchmark.variants", benchmark.variants),
        ("benchmark.baselines", benchmark.baselines),
        ("teach.datasets", teach.datasets),
    ):
        _check_once(f"{source}: {key}", given)
    for name in benchmark.datasets:
        _check_rated(name, config.datasets[name], source)
        _check_root(name, config.datasets[name], source)
    for name in benchmark.official:
        _check_official(name, config.datasets[name].layout, source)
    _check_perception(config, source)


def _check_once(key: str, names: Sequence[str]) -> None:
    """Raise where a list names something twice."""
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{key} must name each once, found {name!r} {count} times; remove one")


def _check_rated(name: str, options: PrepareOptions, source: str) -> None:
    """Raise where the images of a data set have no scores, or not on the scale that is given."""
    if not DATASETS[options.layout].rated:
        raise InputError(
            f"{source}: benchmark.datasets must name data sets with scores, found {name!r} of"
            f" layout {options.layout}; remove it there, and score its pictures by rsfiqa score"
        )
    try:
        mos_scale_of(options)
    except InputError as error:
        raise InputError(f"{source}: datasets.{name}: {error}") from error


def _check_official(name: str, layout: str, source: str) -> None:
    """Raise where the layout of a data set has no official split."""
    layouts = [key for key, spec in DATASETS.items() if spec.rated and spec.official_split]
    if layout not in layouts:
        raise InputError(
            f"{source}: benchmark.official must name data sets with an official split (layouts"
            f" {', '.join(layouts)}), found {name!r} of layout {layout}; take random splits"
        )


def _check_perception(config: "Config", source: str) -> None:
    """Raise where a data set would be tested on images that the perception was trained on."""
    chosen = {
        "caption.backend": CAPTIONERS[config.caption.backend].weights == PERCEPTION_FILE,
        "extract.weights": config.extract.weights == PERCEPTION,
    }
    options = [name for name, is_perception in chosen.items() if is_perception]
    for name in config.benchmark.datasets:
        across = name in config.benchmark.official
        if across and not config.benchmark.tests_across:
            continue
        try:
            check_perception(name, config.datasets[name].layout, options, across=across)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error


def _check_root(name: str, options: PrepareOptions, source: str) -> None:
    """Raise where the folder of a data set is missing."""
    key = f"{source}: datasets.{name}.root"
    if not DATASETS[options.layout].needs_root:
        return
    if options.root is None:
        raise InputError(
            f"{key} must be given for layout {options.layout}, found nothing; set it to the data"
            " set's folder"
        )
    if not expand_home(options.root).exists():
        raise InputError(f"{key} must exist, found {options.root}; correct the path")


def check_official_split(name: str, options: PrepareOptions) -> None:
    """Raise if a data set lacks the official split that its layout may have.

    Args:
        name: of the data set, which lies on disk.
        options: layout and root.

    Raises:
        InputError: see `splits.official_split`; or the files do not fit the layout.
    """
    from rsfiqa.splits import official_split  # numpy takes 0.1 s to import

    entries = read_entries(Path(), options, seed=0)
    groups = [entry.group for entry in entries]
    official_split(groups, [entry.subset for entry in entries], dataset=name)
