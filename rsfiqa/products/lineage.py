"""What made the model inputs: options, stage versions and weights, as checkpoints record them."""

from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

from rsfiqa.errors import InputError
from rsfiqa.io.provenance import Provenance

# Parts of a lineage, each with the stage that makes this input of the model.
LINEAGE = {
    "backbone": "extract",
    "encoder": "embed",
    "segment": "segment",
    "caption": "caption",
}
# Options of a stage without effect on the inputs of a trained model.
TRAINING_ONLY = ("augmented_views",)

# Options of a stage, which depend on the segmenter, captioner or encoder that was chosen, with
# `version` of the stage and, if it used a model, `sha256` of its weights.
StageRecord: TypeAlias = dict[str, Any]
# The records of all parts, by part.
Lineage: TypeAlias = dict[str, Mapping[str, Any]]


class BackboneRecord(TypedDict):
    """What made the grid features.

    Attributes:
        backbone: name of the timm model.
        grid: cells on each side.
        long_side: pixels to which larger images are reduced.
        version: of the extract stage.
        sha256: of the backbone's weights.
    """

    backbone: str
    grid: int
    long_side: int
    version: int
    sha256: str


def lineage_of(provenance: Mapping[str, Provenance]) -> Lineage:
    """The lineage of the products of a data set, from the provenance of each stage's product."""
    return {part: _record(provenance[stage]) for part, stage in LINEAGE.items()}


def check_lineage(subject: str, expected: Lineage, given: Lineage, dataset: str) -> None:
    """Refuse model inputs that were made by other options or weights than those of a training.

    Args:
        subject: what was trained, for the message.
        expected: lineage of its training, or a part of it.
        given: lineage of the model inputs of a data set.
        dataset: its name.

    Raises:
        InputError: names the first difference.
    """
    for part, recorded in expected.items():
        for key in sorted(recorded.keys() | given[part].keys()):
            if recorded.get(key) != given[part].get(key):
                raise InputError(
                    f"{subject}: trained with {part} {key} {recorded.get(key)}, found"
                    f" {given[part].get(key)} in {dataset}; make both with the same options"
                )


def shaping_options(provenance: Provenance) -> dict[str, Any]:
    """The options of a stage that have an effect on the inputs of a trained model."""
    return {name: value for name, value in provenance.options.items() if name not in TRAINING_ONLY}


def weights_digest(weights: Mapping[str, str]) -> str:
    """The SHA-256 digests of several files of weights, joined by commas.

    Args:
        weights: name and SHA-256 of each file.
    """
    return ",".join(weights[name] for name in sorted(weights))


def _record(provenance: Provenance) -> StageRecord:
    weights = {"sha256": weights_digest(provenance.models)} if provenance.models else {}
    return {"version": provenance.version, **shaping_options(provenance), **weights}
