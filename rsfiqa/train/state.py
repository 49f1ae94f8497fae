"""The state of a training between two steps, for resuming after a kill."""

import io
import logging
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch

from rsfiqa.io.atomic import atomic
from rsfiqa.io.checksum import append_checksum, verify_checksum

log = logging.getLogger("rsfiqa")


class Stateful(Protocol):
    """A module, an optimizer, a schedule or the like."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Restore a state."""


class TrainingState:
    """Saves and restores the parts of a training.

    Args:
        path: file of the state; the caller deletes it when the result of the training is written.
        fingerprint: of everything that the training depends on; the state of another training is
            ignored.
        parts: what is saved, by name.
    """

    def __init__(self, path: Path, fingerprint: str, parts: Mapping[str, Stateful]) -> None:
        self.path, self.fingerprint, self.parts = path, fingerprint, parts

    def save(self, losses: list[float]) -> None:
        """Write the state after a step.

        Args:
            losses: loss of each step so far.
        """
        content = {name: part.state_dict() for name, part in self.parts.items()}
        buffer = io.BytesIO()
        torch.save({"fingerprint": self.fingerprint, **content, "losses": losses}, buffer)
        with atomic(self.path) as partial:
            partial.write_bytes(buffer.getbuffer())
            append_checksum(partial)

    def resume(self) -> list[float]:
        """Restore the last saved state, if there is one; return the loss of each step so far."""
        if not self.path.is_file():
            return []
        try:
            verify_checksum(self.path, has_checksum=True)
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            usable = content["fingerprint"] == self.fingerprint
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, UnpicklingError):
            usable = False
        if not usable:
            log.warning("%s: of another training, or damaged; the training starts anew", self.path)
            return []
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
        losses: list[float] = content["losses"]
        log.info("the training resumes after step %d", len(losses))
        return losses
