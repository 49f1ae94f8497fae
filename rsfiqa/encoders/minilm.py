"""The packaged MiniLM in torch's own layers, for a quick start.

sentence-transformers and transformers take long to import: with them the first score of
`rsfiqa score` comes after 7.5 s, with this module after 4.8 s (two cores). The vectors are equal to
1e-5.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

LAYER = {  # names of a layer's tensors in torch and in BERT; query, key and value are one in torch
    "out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm2": "output.LayerNorm",
}


class MiniLM(nn.Module):
    """A `TextEncoder`: BERT, mean pooling, unit length, as all-MiniLM-L6-v2 has it.

    Args:
        folder: of a sentence-transformers model that is a BERT with mean pooling.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        config = json.loads((folder / "config.json").read_text("utf-8"))
        limit = json.loads((folder / "sentence_bert_config.json").read_text("utf-8"))
        self.max_length: int = limit["max_seq_length"]
        self.dimension: int = config["hidden_size"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(self.max_length)
        self.tokenizer.enable_padding(pad_id=config["pad_token_id"])
        state = load_file(folder / "model.safetensors")
        depth, epsilon = config["num_hidden_layers"], config["layer_norm_eps"]
        with torch.device("meta"):  # the weights come from the file
            layer = nn.TransformerEncoderLayer(
                self.dimension,
                config["num_attention_heads"],
                config["intermediate_size"],
                dropout=0.0,
                activation="gelu",
                layer_norm_eps=epsilon,
                batch_first=True,
            )
            self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
            self.norm = nn.LayerNorm(self.dimension, epsilon)
        self.layers.load_state_dict(_layers(state, depth), assign=True)
        norm = {name: state[f"embeddings.LayerNorm.{name}"] for name in ("weight", "bias")}
        self.norm.load_state_dict(norm, assign=True)
        self.words = nn.Parameter(state["embeddings.word_embeddings.weight"])
        segment = state["embeddings.token_type_embeddings.weight"][0]  # of the first sentence
        positions = state["embeddings.position_embeddings.weight"]
        self.positions = nn.Parameter(positions + segment)
        self.eval().requires_grad_(False)

    def forward(self, ids: Tensor, present: Tensor) -> Tensor:
        """Vectors of unit length: float (B, D).

        Args:
            ids: int64 (B, N), tokens.
            present: bool (B, N), False for padding.
        """
        x = self.norm(self.words[ids] + self.positions[: ids.shape[1]])
        x = self.layers(x, src_key_padding_mask=~present)
        mask = present[..., None].to(x.dtype)
        weight = mask / mask.sum(1, keepdim=True)
        return functional.normalize((x * weight).sum(1), dim=1)

    @torch.inference_mode()
    def encode(self, texts: list[str]) -> np.ndarray:
        """Vectors of N texts in one batch: float32 (N, D)."""
        tokens = self.tokenizer.encode_batch(texts)
        ids, present = (
            torch.tensor([getattr(text, name) for text in tokens], device=self.words.device)
            for name in ("ids", "attention_mask")
        )
        vectors: np.ndarray = self(ids, present.bool()).cpu().numpy()
        return vectors

    def exceeds_limit(self, texts: list[str]) -> np.ndarray:
        """Which texts are truncated: bool (N,)."""
        return np.array([bool(text.overflowing) for text in self.tokenizer.encode_batch(texts)])


def _layers(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """The tensors of BERT's layers under torch's names."""
    renamed = {}
    for i in range(depth):
        for part in ("weight", "bias"):
            source, target = f"encoder.layer.{i}.", f"layers.{i}."
            joint = [
                state[f"{source}attention.self.{name}.{part}"] for name in ("query", "key", "value")
            ]
            renamed[f"{target}self_attn.in_proj_{part}"] = torch.cat(joint)
            for name, own in LAYER.items():
                torch_name = f"self_attn.{name}" if name == "out_proj" else name
                renamed[f"{target}{torch_name}.{part}"] = state[f"{source}{own}.{part}"]
    return renamed
