"""No text encoder: captions reach the model as ratings alone."""

import numpy as np


class NoText:
    """Vectors without numbers; see `TextEncoder`."""

    dimension = 0
    max_length = 0

    def encode(self, texts: list[str]) -> np.ndarray:
        """As `TextEncoder.encode`: float32 (N, 0)."""
        return np.zeros((len(texts), 0), np.float32)

    def exceeds_limit(self, texts: list[str]) -> np.ndarray:
        """As `TextEncoder.exceeds_limit`: no text is read, so that none is too long."""
        return np.zeros(len(texts), bool)
