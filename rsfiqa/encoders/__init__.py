"""Text encoders: they turn captions into vectors.

Importing this module imports no model; `load` imports the chosen one.
"""

from typing import TYPE_CHECKING, Protocol

from rsfiqa.encoders.files import NO_TEXT, PACKAGED, encoder_folder

if TYPE_CHECKING:
    import numpy as np

    from rsfiqa.embed.options import EmbedOptions


class TextEncoder(Protocol):
    """Turns sentences into vectors.

    Attributes:
        dimension: length D of a vector.
        max_length: largest number of tokens that are read of a text; the rest is truncated.
    """

    dimension: int
    max_length: int

    def encode(self, texts: list[str]) -> "np.ndarray":
        """Vectors of N texts: float32 (N, D)."""
        ...

    def exceeds_limit(self, texts: list[str]) -> "np.ndarray":
        """Which texts are truncated: bool (N,)."""
        ...


def has_quick_start(options: "EmbedOptions") -> bool:
    """Whether the options name the packaged encoder in the precision of its quick start."""
    return options.encoder == PACKAGED and options.precision == "fp32"


def load(
    options: "EmbedOptions", *, quick_start: bool = False, option: str = "embed.encoder"
) -> TextEncoder:
    """The encoder that the options name.

    Args:
        options: of the embed stage.
        quick_start: load the packaged encoder without sentence-transformers, which saves 3 s. Its
            vectors differ by up to 1e-6, hence 0.5 % of the stored float16 values by their last
            bit; the embed stage therefore does without.
        option: name under which the user gives the encoder, for messages.

    Raises:
        InputError: no such encoder or device.
    """
    if options.encoder == NO_TEXT:
        from rsfiqa.encoders.no_text import NoText

        return NoText()
    from rsfiqa.runtime.devices import device_of

    device = device_of(options.device, "embed.device")
    folder = encoder_folder(options.encoder, option)
    if quick_start and has_quick_start(options):
        from rsfiqa.encoders.minilm import MiniLM

        return MiniLM(folder).to(device)
    from rsfiqa.encoders.sentence_transformer import SentenceTransformerEncoder

    return SentenceTransformerEncoder(folder, options, device)
