"""From examples to a model's inputs: what is asked as it is served, loss on the answer alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.teach.examples import Example

IGNORED = -100  # label of a token that is not to be learnt


class Collator:
    """Examples to a batch of a transformers model that takes pictures.

    The question is tokenised with its pictures and ends where a served model begins to write; the
    answer follows, up to the end of the assistant's turn. Padded on the right.

    Args:
        processor: of the model, with its chat template.
        folder: that the paths of the examples' pictures start from.
    """

    def __init__(self, processor: Any, folder: Path) -> None:
        self.processor, self.folder = processor, folder

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Inputs by name, and `labels` int64 (B, L), -100 where nothing is to be learnt."""
        rows = [self.one(example) for example in examples]
        longest = max(row["input_ids"].shape[1] for row in rows)
        padding = self.processor.tokenizer.pad_token_id or 0
        fill = {"labels": IGNORED, "input_ids": padding}
        batch = {}
        for name in rows[0]:
            parts = [row[name] for row in rows]
            if name in fill or _is_per_token(rows[0], name):
                parts = [_padded(part, longest, fill.get(name, 0)) for part in parts]
            batch[name] = torch.cat(parts)
        return batch

    def one(self, example: Example) -> dict[str, torch.Tensor]:
        """The same of one example, without padding."""
        asked, wanted = self.texts(example)
        pictures = [Image.open(self.folder / path).convert("RGB") for path in example.images]
        # the template has written the special tokens, as for a server
        text = {"text": [asked], "add_special_tokens": False}
        found = dict(self.processor(**text, images=pictures, return_tensors="pt"))
        found.pop("attention_mask", None)  # given below
        tokenizer = self.processor.tokenizer
        answer = tokenizer(wanted, add_special_tokens=False, return_tensors="pt")["input_ids"]
        length = found["input_ids"].shape[1]
        for name in [name for name in found if _is_per_token(found, name)]:
            more = answer if name == "input_ids" else torch.zeros_like(answer)
            found[name] = torch.cat([found[name], more.to(found[name].dtype)], 1)
        ids = found["input_ids"]
        question = torch.arange(ids.shape[1]) < length
        labels = ids.masked_fill(question, IGNORED)
        return {**found, "attention_mask": torch.ones_like(ids), "labels": labels}

    def texts(self, example: Example) -> tuple[str, str]:
        """What is asked, as the chat template writes it, and the rest that is to be learnt.

        Raises:
            InputError: a template that rewrites the question once it is answered.
        """
        template = self.processor.apply_chat_template
        asked = template(list(example.messages[:-1]), add_generation_prompt=True)
        whole = template(list(example.messages))
        if not whole.startswith(asked):
            raise InputError(
                "teach.train.model: its chat template must leave a question as it is once it is"
                f" answered, found {whole[-60:]!r} after {asked[-60:]!r}; use another model"
            )
        return asked, whole[len(asked) :]


def _is_per_token(row: dict[str, torch.Tensor], name: str) -> bool:
    """Whether an input has one number for each token."""
    return row[name].shape == row["input_ids"].shape


def _padded(part: torch.Tensor, length: int, value: int) -> torch.Tensor:
    """(1, l) to (1, length)."""
    return torch.nn.functional.pad(part, (0, length - part.shape[1]), value=value)
