"""The registry of captioners; importing it imports none of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from rsfiqa.backbones.weights import PERCEPTION_FILE
from rsfiqa.registry import Registry, resolve

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from rsfiqa.caption.options import CaptionOptions
    from rsfiqa.products.captions import CaptionRow
    from rsfiqa.runtime.shards import Shard


class Captioner(Protocol):
    """Describes and rates the regions of images; a context manager.

    Args:
        options: options of the caption stage.
        log: log file of a server that the captioner starts.

    Attributes:
        version: version of the captioner's prompt, recorded with the captions; None without one.
    """

    version: ClassVar[int | None]

    @property
    def backbone_sha256(self) -> str | None:
        """Weights of the backbone whose feature maps `caption_maps` takes; None for others."""

    def __init__(self, options: "CaptionOptions", *, log: Path) -> None: ...

    @classmethod
    def check(cls, options: "CaptionOptions") -> None:
        """Check the options before the first job, without a server.

        Raises:
            InputError: an option is missing or cannot work.
        """

    @property
    def model_digests(self) -> Mapping[str, str]:
        """SHA-256 of each model file by name, recorded with the captions; empty without files."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def caption(self, image: "np.ndarray", labels: "np.ndarray") -> "list[CaptionRow]":
        """The captions of all regions of one image, in the order of their numbers.

        Args:
            image: sRGB, uint8 (H, W, 3).
            labels: label map of the image, uint16 (H, W), 0..R-1.

        Raises:
            InputError: a server cannot be used.
        """

    def caption_maps(
        self, image: "np.ndarray", labels: "np.ndarray", maps: "Sequence[Tensor]"
    ) -> "list[CaptionRow]":
        """As `caption`, for an image that has passed the captioner's own backbone already.

        Args:
            image: sRGB, uint8 (H, W, 3).
            labels: label map of the image, uint16 (H, W), 0..R-1.
            maps: feature maps (1, C_s, h_s, w_s) of the image.
        """

    def caption_shard(self, shard: "Shard") -> "dict[str, list[CaptionRow]]":
        """The captions of all images of a shard, by image_id.

        An image that cannot be read is recorded in `shard.reasons` and left out.

        Raises:
            InputError: a server cannot be used; finished responses are kept.
        """


@dataclass(frozen=True, kw_only=True)
class CaptionerEntry:
    """A captioner that `caption.backend` can name, and its properties.

    Attributes:
        target: its class, `module:name`, imported when it is loaded; see `Captioner`.
        recorded: options that shape its captions, beside `backend` and `long_side`.
        uses_server: sends requests to a server; the job starts one where no endpoint is given.
        is_language_model: the report calls its captions MLLM.
        needs_torch: its process imports torch.
        takes_maps: its captions follow from the feature maps of its own backbone, see
            `Captioner.caption_maps`; scoring without torch has them, too.
        weights: file of weights that comes with the package; None for others.
    """

    target: str
    recorded: tuple[str, ...] = ()
    uses_server: bool = False
    is_language_model: bool = False
    needs_torch: bool = False
    takes_maps: bool = False
    weights: Path | None = None


CAPTIONERS: Registry[CaptionerEntry] = Registry("captioner")

CAPTIONERS.register(
    "classifier",
    CaptionerEntry(
        target="rsfiqa.captioners.classifier.captioner:ClassifierCaptioner",
        needs_torch=True,
        takes_maps=True,
        weights=PERCEPTION_FILE,
    ),
)
CAPTIONERS.register(
    "rule_based",
    CaptionerEntry(target="rsfiqa.captioners.rule_based.captioner:RuleBasedCaptioner"),
)
CAPTIONERS.register(
    "vllm",
    CaptionerEntry(
        target="rsfiqa.captioners.vlm.captioner:VLMCaptioner",
        recorded=("model", "prompt", "max_pixels", "max_tokens", "temperature", "attempts"),
        uses_server=True,
        is_language_model=True,
    ),
)


def check(options: "CaptionOptions") -> None:
    """Check the options of the captioner that they name, before the first job.

    Raises:
        InputError: as `Captioner.check`.
    """
    _class_of(options).check(options)


def recorded(options: "CaptionOptions") -> dict[str, Any]:
    """The options that shape the captions, with the version of the captioner's prompt."""
    version = _class_of(options).version
    return options.recorded() | ({} if version is None else {"version": version})


def load(options: "CaptionOptions", *, log: Path) -> Captioner:
    """The captioner that the options name; use it as a context manager.

    Args:
        options: options of the caption stage.
        log: log file of a server that the captioner starts; no other captioner writes it.

    Raises:
        InputError: as `Captioner.check`.
    """
    check(options)
    return _class_of(options)(options, log=log)


def _class_of(options: "CaptionOptions") -> type[Captioner]:
    kind: type[Captioner] = resolve(CAPTIONERS[options.backend].target)
    return kind
