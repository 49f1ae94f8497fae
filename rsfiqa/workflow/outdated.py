"""Which products at hand were not made as config.yaml asks for.

Snakemake keeps its own record of a run in .snakemake. It can be missing, stays behind where results
are copied elsewhere, and knows nothing of stages run by hand. Products say themselves how they were
made, so they are compared with the configuration whenever a run is planned. What does not shape a
product, such as the number of workers, is not recorded and makes nothing again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsfiqa import captioners
from rsfiqa.backbones import HUB
from rsfiqa.backbones.weights import weights_path
from rsfiqa.benchmark.record import recorded_options as benchmark_record
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners import CAPTIONERS
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.encoders import files as encoders
from rsfiqa.errors import InputError
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.home import expand_home
from rsfiqa.io.json_files import read_json, write_json
from rsfiqa.io.provenance import Provenance, first_difference
from rsfiqa.options import Options
from rsfiqa.prepare.entries import Listing, read_listing
from rsfiqa.prepare.entries import recorded_options as prepare_record
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products.finished import recorded_provenance, statistics
from rsfiqa.products.lineage import LINEAGE, TRAINING_ONLY
from rsfiqa.products.paths import card_path, checkpoint_folder, manifest_path, shard_names
from rsfiqa.products.versions import VERSIONS
from rsfiqa.report.options import recorded_options as report_record
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters import SEGMENTERS
from rsfiqa.teach import description
from rsfiqa.teach.options import (
    PARTS,
    TeachDataOptions,
    TeachTrainOptions,
    recorded_captioner,
    recorded_options,
)
from rsfiqa.train.options import TrainOptions

if TYPE_CHECKING:
    from rsfiqa.products.card import Card

DIGESTS = Path(".snakemake/rsfiqa-digests.json")  # of files of weights, by path, size and time


class Outdated:
    """Finds out why a product does not fit a configuration.

    Every method returns what differs, such as `max_regions was 12, is 8`; an empty text if the
    product fits, or if there is none.

    Args:
        config: as `configuration.check` returns it.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.listing = cache(self._listing)
        self._options = cache(self._stage_options)
        self._weights = cache(self._weights_digests)
        self._labels = cache(self._label)

    def _listing(self, dataset: str) -> Listing:
        folder = Path(self.config["results"]) / dataset
        return read_listing(folder, self._prepare_options(dataset))

    def _prepare_options(self, dataset: str) -> PrepareOptions:
        return PrepareOptions(**self.config["datasets"][dataset])

    def shards(self, dataset: str) -> list[str]:
        """The names of the shards into which the images of a data set are divided now."""
        return self.listing(dataset).shards(self.config["shard_size"])

    def manifest(self, path: Path, dataset: str) -> str:
        """Why the manifest of a data set is outdated."""
        listing = self.listing(dataset)
        options = prepare_record(
            self._prepare_options(dataset),
            shard_size=self.config["shard_size"],
            images=listing.images,
            seed=self.config["seed"],
        )
        if difference := _compare(path, "prepare", options):
            return difference
        if path.is_file() and statistics(path).get("listing") != listing.sha256:
            return "the images or scores of the data set have changed"
        return ""

    def shard(self, path: Path, stage: str) -> str:
        """Why a shard of a stage is outdated."""
        return _compare(path, stage, self._options(stage), self._weights(stage))

    def checkpoint(self, folder: Path, split: str) -> str:
        """Why the checkpoint of a split is outdated."""
        from rsfiqa.products.card import read_card, training_record

        if not card_path(folder).is_file():
            return ""
        try:
            card, _ = read_card(folder)
        except InputError as error:
            return str(error)
        if version := _compare_versions(card.options.get("version"), "train"):
            return version
        expected = training_record(
            TrainOptions(**self.config["train"]).recorded(),
            split=split,
            seed=self.config["seed"],
            test_fraction=self.config["benchmark"]["test_fraction"],
        )
        return _describe(card.training, expected) or self._lineage(card)

    def _lineage(self, card: "Card") -> str:
        """What differs between the inputs of a training and those that the configuration makes."""
        for part, stage in LINEAGE.items():
            recorded = {k: v for k, v in card.lineage[part].items() if k != "sha256"}
            options = {k: v for k, v in self._options(stage).items() if k not in TRAINING_ONLY}
            if difference := _describe(recorded, {"version": VERSIONS[stage], **options}):
                return f"{stage} {difference}"
        return ""

    def table(self, path: Path, train: str, method: str, kind: str, number: int) -> str:
        """Why a table of results is outdated.

        Args:
            path: of the table.
            train: data set that was trained on.
            method: variant of the model or baseline.
            kind: of the splits.
            number: number of splits, or of training seeds.
        """
        options = benchmark_record(
            method,
            kind=kind,
            number=number,
            test_fraction=self.config["benchmark"]["test_fraction"],
            seed=self.config["seed"],
        )
        return _compare(path, "benchmark", options) or self._tested(path, train, method)

    def _tested(self, path: Path, train: str, method: str) -> str:
        """Which checkpoint at hand is not the one that a table of results is of."""
        from rsfiqa.products.card import read_card

        weights = statistics(path).get("weights_sha256", {})
        for split in sorted(weights):
            folder = checkpoint_folder(path.parents[1], train, method, split)
            # a missing or damaged one is made again, and the table with it
            with suppress(InputError):
                if read_card(folder)[1] != weights[split]:
                    return f"the checkpoint of {split} is another one"
        return ""

    def report(self, path: Path, tables: Iterable[str]) -> str:
        """Why the report of these tables is outdated."""
        return _compare(path, "report", report_record(tables, **self.config["report"]))

    def examples(self, path: Path) -> str:
        """Why the examples that data.json describes are outdated."""
        if not path.is_file():
            return ""
        content = description.read(path.parent)
        if not isinstance(options := content.get("options"), dict):
            return "it does not record how it was made"
        section = self.config["teach"]
        expected = recorded_options(
            TeachDataOptions(**section["data"]),
            datasets=section["datasets"],
            seed=self.config["seed"],
        )
        return _compare_versions(content.get("version"), "teach") or _describe(
            options | {"parts": sorted(content.get("examples", {}))},
            expected | {"parts": sorted(PARTS)},
        )

    def finetuned(self, path: Path) -> str:
        """Why the fine-tuned model that teach.json describes is outdated."""
        if not path.is_file():
            return ""
        try:
            recorded = Provenance(**read_json(path)["provenance"])
        except (OSError, ValueError, KeyError, TypeError):
            return "it does not record how it was made"
        options = TeachTrainOptions(**self.config["teach"]["train"])
        expected = options.recorded() | {"seed": self.config["seed"]}
        return (
            _compare_versions(recorded.version, "teach")
            or _describe(recorded.options, expected)
            or _compare_base(recorded, str(options.model))
            or _compare_inputs(recorded, path.parents[1])
        )

    def figures(self, path: Path, options: CaptionOptions) -> str:
        """Why the figures of a captioner on the test part of the examples are outdated.

        Args:
            path: of the figures.
            options: of the captioner.
        """
        if not path.is_file():
            return ""
        weights = options.server.weights
        digests = None
        if not weights or expand_home(weights).is_dir():  # else it is yet to be trained
            digests = sorted(map(_digest, _captioner_files(options.model_dump())))
        if difference := _compare(path, "teach", recorded_captioner(options), digests):
            return difference
        recorded = recorded_provenance(path)
        return _compare_inputs(recorded, path.parents[1]) if recorded else ""

    def plan(self, path: Path, run: str) -> str:
        """Why the plan of a scoring run is outdated; its pictures are listed for that."""
        if not path.is_file() or not self.config["score"]["relist"]:
            return ""
        from rsfiqa.products import picture_lists
        from rsfiqa.score.plan.stage import listed

        try:
            plan = picture_lists.read(path.parents[1])
        except InputError as error:
            return str(error)
        pictures, _ = listed(self.config["score"]["runs"][run]["paths"])
        return "" if picture_lists.digest(pictures) == plan.listing else "the pictures have changed"

    def scores(self, path: Path, run: str) -> str:
        """Why the table of scores of a shard is outdated."""
        if (recorded := recorded_provenance(path)) is None:
            return ""  # it is not finished
        version = self._scores_version()
        if recorded.version != version:
            return f"version of score was {recorded.version}, is {version}"
        return _describe(recorded.options, {"checkpoint": self._labels(run)})

    def _label(self, run: str) -> str:
        """The checkpoint of a scoring run, as tables of scores name it."""
        from rsfiqa import checkpoints

        given = self.config["score"]["runs"][run]["checkpoint"]
        folder = checkpoints.folder_or_packaged(Path(given) if given else None)
        return checkpoints.label_of(*checkpoints.read_card(folder))

    @staticmethod
    def _scores_version() -> int:
        from rsfiqa.products.scores import VERSION

        return VERSION

    def _stage_options(self, stage: str) -> dict[str, Any]:
        """What the products of a sharded stage must record."""
        section = self.config[stage]
        if stage == "caption":
            return captioners.recorded(CaptionOptions(**section))
        kinds: dict[str, type[Options]] = {
            "segment": SegmentOptions,
            "embed": EmbedOptions,
            "extract": ExtractOptions,
        }
        return kinds[stage](**section).recorded()

    def _weights_digests(self, stage: str) -> list[str] | None:
        """SHA-256 of the files of weights of a sharded stage; None if they are on a hub."""
        paths = weights_files(stage, self.config[stage])
        return None if paths is None else sorted(map(_digest, paths))


def weights_files(stage: str, section: Mapping[str, Any]) -> Sequence[Path] | None:
    """The files of weights of a sharded stage; None if they are on a hub.

    Args:
        stage: its name.
        section: its section of config.yaml.
    """
    return {
        "segment": _segmenter_files,
        "caption": _captioner_files,
        "embed": _encoder_files,
        "extract": _backbone_files,
    }[stage](section)


def _segmenter_files(section: Mapping[str, Any]) -> Sequence[Path]:
    needed = SEGMENTERS[section["backend"]].needs_checkpoint
    return [expand_home(section["checkpoint"])] if needed else []


def _captioner_files(section: Mapping[str, Any]) -> Sequence[Path]:
    entry = CAPTIONERS[section["backend"]]
    if entry.weights is not None:
        return [entry.weights]
    weights = section["server"]["weights"]
    if not entry.uses_server or not weights:
        return []
    from rsfiqa.captioners.vlm.vllm_command import model_files

    return model_files(expand_home(weights))


def _encoder_files(section: Mapping[str, Any]) -> Sequence[Path] | None:
    encoder = section["encoder"]
    if encoder not in (encoders.PACKAGED, encoders.NO_TEXT) and not expand_home(encoder).is_dir():
        return None
    return list(encoders.weight_files(encoder).values())


def _backbone_files(section: Mapping[str, Any]) -> Sequence[Path] | None:
    if section["weights"] == HUB:
        return None
    return [weights_path(section["backbone"], section["weights"])]


def _compare(
    path: Path, stage: str, options: Mapping[str, Any], weights: Sequence[str] | None = None
) -> str:
    """What differs between a product and the present options; empty if it fits or is missing."""
    if not path.is_file():
        return ""
    recorded = recorded_provenance(path)
    if recorded is None:
        return "it does not record how it was made"
    if difference := _compare_versions(recorded.version, stage):
        return difference
    if difference := _describe(recorded.options, options):
        return difference
    if weights is not None and sorted(recorded.models.values()) != weights:
        return "the weights of its model have changed"
    return ""


def _compare_base(recorded: Provenance, base: str) -> str:
    """Whether a model was fine-tuned from another one than this folder or name on a hub."""
    from rsfiqa.captioners.vlm.vllm_command import model_files

    folder = expand_home(base)
    models = sorted(map(_digest, model_files(folder))) if folder.is_dir() else [base]
    is_same = sorted(recorded.models.values()) == models
    return "" if is_same else "the model that it was fine-tuned from was another one"


def _compare_inputs(recorded: Provenance, folder: Path) -> str:
    """Which input differs, of those at hand; inputs are recorded by the names of their files."""
    for name, digest in sorted(recorded.inputs.items()):
        if (folder / name).is_file() and _digest(folder / name) != digest:
            return f"{name} has changed"
    return ""


def _compare_versions(recorded: object, stage: str) -> str:
    current = VERSIONS[stage]
    return "" if recorded == current else f"version of {stage} was {recorded}, is {current}"


def _describe(recorded: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    found = first_difference(recorded, options)
    return f"{found.name} was {found.recorded}, is {found.given}" if found else ""


def _digest(path: Path) -> str:
    """SHA-256 of a file; large ones are read again only when their size or time has changed."""
    status = path.stat()
    key = json.dumps([str(path.resolve()), status.st_size, status.st_mtime_ns])
    try:
        known = dict(read_json(DIGESTS))
    except (OSError, ValueError, TypeError):
        known = {}
    if key not in known:
        known[key] = sha256_of(path)
        with suppress(OSError):  # a plan may be made where nothing can be written
            write_json(DIGESTS, known)
    return str(known[key])


def manifest_shards(folder: Path) -> list[str] | None:
    """The shards of a manifest at hand; None without one."""
    recorded = recorded_provenance(manifest_path(folder))
    return None if recorded is None else shard_names(recorded.options["shards"])
