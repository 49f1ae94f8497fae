"""Writes a tiny random Qwen2.5-VL that vLLM serves: the architecture, processor and chat format of
the production model with 0.9 million parameters. Usage: python tiny_qwen.py FOLDER, in .venv-vllm.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from rsfiqa.captioners.vlm.prompt import instructions

VOCABULARY = 1024
WIDTH = 128
SPECIAL = {
    "end_of_text": "<|endoftext|>",
    "start": "<|im_start|>",
    "end": "<|im_end|>",
    "vision_start": "<|vision_start|>",
    "vision_end": "<|vision_end|>",
    "image": "<|image_pad|>",
    "video": "<|video_pad|>",
}
TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{% if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] in ('image', 'image_url') -%}
<|vision_start|><|image_pad|><|vision_end|>
{%- else -%}
{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""


def tokenizer() -> Qwen2Tokenizer:
    """Byte-level BPE whose vocabulary comes from the prompts."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    # as the files of the prompts had them, a line end after each
    texts = [f"{instructions(kind)}\n" for kind in ("image", "regions")]
    bpe.train_from_iterator(texts, trainer)
    made = json.loads(bpe.to_str())["model"]
    found = Qwen2Tokenizer(
        vocab=made["vocab"],
        merges=[tuple(pair) for pair in made["merges"]],
        eos_token=SPECIAL["end"],
        pad_token=SPECIAL["end_of_text"],
        unk_token=None,
    )
    found.add_special_tokens({"additional_special_tokens": list(SPECIAL.values())[1:]})
    found.chat_template = TEMPLATE
    return found


def main(folder: Path) -> None:
    """Write weights, configuration and processor."""
    words = tokenizer()
    ids = {name: words.convert_tokens_to_ids(token) for name, token in SPECIAL.items()}
    text = {
        "vocab_size": len(words),
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "bos_token_id": ids["end_of_text"],
        "eos_token_id": ids["end"],
        "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12], "rope_type": "default"},
        "tie_word_embeddings": False,
    }
    vision = {
        "depth": 2,
        "hidden_size": WIDTH // 2,
        "intermediate_size": WIDTH,
        "num_heads": 2,
        "out_hidden_size": WIDTH,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [1],
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["image"],
        video_token_id=ids["video"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    pixels = {"min_pixels": 4 * 28**2, "max_pixels": 64 * 28**2}
    Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**pixels),
        video_processor=Qwen2VLVideoProcessor(**pixels),
        tokenizer=words,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
