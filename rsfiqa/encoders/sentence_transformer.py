"""Text encoders of sentence-transformers, which reads any transformers text encoder."""

import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers.utils import logging

from rsfiqa.embed.options import EmbedOptions
from rsfiqa.errors import InputError, first_line
from rsfiqa.runtime.devices import PRECISIONS


class SentenceTransformerEncoder:
    """A `TextEncoder` with the pooling and normalisation that its folder states.

    Args:
        folder: of the encoder's files.
        options: precision and batch_size are used.
        device: of the model.

    Raises:
        InputError: the folder holds something else.
    """

    def __init__(self, folder: Path, options: EmbedOptions, device: torch.device) -> None:
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # loading takes 0.1 s
        try:
            self.model = SentenceTransformer(
                str(folder),
                local_files_only=True,
                device=str(device),
                model_kwargs={"dtype": PRECISIONS[options.precision], "use_safetensors": True},
            )
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{folder}: must be a transformers text encoder with safetensors, found other"
                f" content ({first_line(error)}); give another as embed.encoder"
            ) from error
        self.batch_size = options.batch_size
        self.dimension: int = self.model.get_embedding_dimension() or 0
        self.max_length: int = self.model.max_seq_length

    def encode(self, texts: list[str]) -> np.ndarray:
        """Vectors of N texts: float32 (N, D). The library groups texts of similar length."""
        vectors = self.model.encode(
            texts,
            batch_size=self.batch_size,
            show_progress_bar=sys.stderr.isatty(),
            convert_to_tensor=True,
        )
        rows: np.ndarray = vectors.float().cpu().numpy()
        return rows

    def exceeds_limit(self, texts: list[str]) -> np.ndarray:
        """Which texts are truncated: bool (N,)."""
        tokens = self.model.tokenizer(texts, padding=False, truncation=False)["input_ids"]
        return np.array([len(text) > self.max_length for text in tokens], bool)
