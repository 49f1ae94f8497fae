"""A BERT sentence encoder of torch's own layers, for a single picture that is to be scored now.

With sentence-transformers and transformers, which take long to import, the first score comes after
7.5 s, with this after 4.8 s (two cores). The vectors are the same to 1e-5.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

LAYER = {  # torch's names of a layer's tensors; query, key and value are one there
    "out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm2": "output.LayerNorm",
}


class Bert(nn.Module):
    """Sentences to unit vectors: mean of the tokens' outputs, as all-MiniLM-L6-v2 has it.

    Args:
        folder: of a sentence-transformers model that is a BERT with mean pooling.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        config = json.loads((folder / "config.json").read_text("utf-8"))
        limit = json.loads((folder / "sentence_bert_config.json").read_text("utf-8"))
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(limit["max_seq_length"])
        self.tokenizer.enable_padding(pad_id=config["pad_token_id"])
        state = load_file(folder / "model.safetensors")
        depth, width, small = (
            config[name] for name in ("num_hidden_layers", "hidden_size", "layer_norm_eps")
        )
        with torch.device("meta"):  # weights come from the file
            layer = nn.TransformerEncoderLayer(
                width,
                config["num_attention_heads"],
                config["intermediate_size"],
                dropout=0.0,
                activation="gelu",
                layer_norm_eps=small,
                batch_first=True,
            )
            self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
            self.norm = nn.LayerNorm(width, small)
        self.layers.load_state_dict(_layers(state, depth), assign=True)
        norm = {name: state[f"embeddings.LayerNorm.{name}"] for name in ("weight", "bias")}
        self.norm.load_state_dict(norm, assign=True)
        self.words = nn.Parameter(state["embeddings.word_embeddings.weight"])
        kind = state["embeddings.token_type_embeddings.weight"][0]  # of a first sentence
        self.places = nn.Parameter(state["embeddings.position_embeddings.weight"] + kind)
        self.eval().requires_grad_(False)

    def forward(self, ids: Tensor, present: Tensor) -> Tensor:
        """Vectors float (B, D), of length 1.

        Args:
            ids: int64 (B, N), of tokens.
            present: bool (B, N), False where a token only pads.
        """
        x = self.norm(self.words[ids] + self.places[: ids.shape[1]])
        x = self.layers(x, src_key_padding_mask=~present)
        weight = present[..., None] / present.sum(1)[:, None, None]
        return functional.normalize((x * weight).sum(1), dim=1)

    @torch.inference_mode()
    def encode(self, texts: list[str]) -> np.ndarray:
        """Vectors float32 (N, D) of N texts."""
        tokens = self.tokenizer.encode_batch(texts)
        ids, present = (
            torch.tensor([getattr(one, name) for one in tokens], device=self.words.device)
            for name in ("ids", "attention_mask")
        )
        return self(ids, present.bool()).cpu().numpy()


def _layers(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """The tensors of BERT's layers under the names of torch's."""
    found = {}
    for i in range(depth):
        for part in ("weight", "bias"):
            source, target = f"encoder.layer.{i}.", f"layers.{i}."
            joint = [
                state[f"{source}attention.self.{name}.{part}"] for name in ("query", "key", "value")
            ]
            found[f"{target}self_attn.in_proj_{part}"] = torch.cat(joint)
            for name, own in LAYER.items():
                place = f"self_attn.{name}" if name == "out_proj" else name
                found[f"{target}{place}.{part}"] = state[f"{source}{own}.{part}"]
    return found
