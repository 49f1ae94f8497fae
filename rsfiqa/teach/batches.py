"""Examples to model inputs: prompts tokenized as in a server, loss on the answer alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from rsfiqa.errors import InputError
from rsfiqa.teach.examples import Example

IGNORED = -100  # label of a token without loss


class Collator:
    """Turns examples into a batch for an image-text-to-text model of transformers.

    A row is the prompt, tokenized with its images up to where a served model begins to generate,
    and the response up to the end of the assistant's turn. Rows are padded on the right.

    Args:
        processor: of the model, with its chat template.
        folder: to which the image paths of the examples are relative.
    """

    def __init__(self, processor: Any, folder: Path) -> None:
        self.processor, self.folder = processor, folder

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Model inputs by name, and `labels` int64 (B, L), -100 for tokens without loss."""
        rows = [self.row(example) for example in examples]
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

    def row(self, example: Example) -> dict[str, Tensor]:
        """The inputs of one example, without padding."""
        prompt, response = self.texts(example)
        images = [Image.open(self.folder / path).convert("RGB") for path in example.images]
        # the template writes special tokens itself, as it does in a server
        text = {"text": [prompt], "add_special_tokens": False}
        inputs = dict(self.processor(**text, images=images, return_tensors="pt"))
        inputs.pop("attention_mask", None)  # set below, for the whole row
        tokenizer = self.processor.tokenizer
        answer = tokenizer(response, add_special_tokens=False, return_tensors="pt")["input_ids"]
        length = inputs["input_ids"].shape[1]
        for name in [name for name in inputs if _is_per_token(inputs, name)]:
            more = answer if name == "input_ids" else torch.zeros_like(answer)
            inputs[name] = torch.cat([inputs[name], more.to(inputs[name].dtype)], 1)
        ids = inputs["input_ids"]
        in_prompt = torch.arange(ids.shape[1]) < length
        labels = ids.masked_fill(in_prompt, IGNORED)
        return {**inputs, "attention_mask": torch.ones_like(ids), "labels": labels}

    def texts(self, example: Example) -> tuple[str, str]:
        """The prompt as the chat template writes it, and the response that follows.

        Raises:
            InputError: the template changes the prompt once a response follows.
        """
        template = self.processor.apply_chat_template
        prompt = template(list(example.messages[:-1]), add_generation_prompt=True)
        whole = template(list(example.messages))
        if not whole.startswith(prompt):
            raise InputError(
                "teach.train.model: its chat template must leave a question as it is once it is"
                f" answered, found {whole[-60:]!r} after {prompt[-60:]!r}; use another model"
            )
        return prompt, whole[len(prompt) :]


def _is_per_token(row: dict[str, Tensor], name: str) -> bool:
    """Whether an input has one value per token."""
    return row[name].shape == row["input_ids"].shape


def _padded(part: Tensor, length: int, value: int) -> Tensor:
    """(1, l) padded to (1, length)."""
    return torch.nn.functional.pad(part, (0, length - part.shape[1]), value=value)
