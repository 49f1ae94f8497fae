"""The perception of the package, and the test images that it must not have been trained on.

The workflow imports this module while it is parsed.
"""

from collections.abc import Sequence

from rsfiqa.backbones.weights import PERCEPTION_DATASET, PERCEPTION_FILE
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products.lineage import Lineage

# the option that chooses the perception, by the part of a lineage that it makes
CHOSEN_BY = {"caption": "caption.backend", "backbone": "extract.weights"}


def options_of(lineage: Lineage) -> list[str]:
    """The options by which the perception made the captions or features of a data set."""
    trained = sha256_of(PERCEPTION_FILE)
    return [name for part, name in CHOSEN_BY.items() if lineage[part].get("sha256") == trained]


def check_perception(test: str, layout: str, options: Sequence[str], *, across: bool) -> None:
    """Raise if a test set holds images that the perception was trained on.

    It was trained on the official training part of BIQ2021, so a test on the official split of
    that set need not be checked.

    Args:
        test: name of the test set, of which other images than the official test part are tested.
        layout: of the test set.
        options: those by which the perception makes its captions or features; see `options_of`.
        across: another data set is trained on.

    Raises:
        InputError: it is BIQ2021, and the perception makes its captions or features.
    """
    if layout != PERCEPTION_DATASET or not options:
        return
    found, way_out = "random splits", "name it in benchmark.official"
    if across:
        found, way_out = "all of its images tested across data sets", "set benchmark.cross false"
    names = " and ".join(options)
    raise InputError(
        f"{test}: must be tested on its official split where {names} learned from its training"
        f" part, found {found}; {way_out}, or choose another {names}"
    )
