import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from rsfiqa.embed import stage as embed
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.encoders.files import NO_TEXT, PACKAGED, encoder_folder
from rsfiqa.io.json_files import write_json
from rsfiqa.products import captions, embeddings
from rsfiqa.products.paths import product_path, stats_path

TEXTS = [f"{'a very ' * (i % 5)}blurred wall {i} with noise. Overall poor." for i in range(40)]
LONG = "noise " * 400
HALF = 2**-11  # of a stored number up to 1


def texts_of(image_id: str, texts: list[str]) -> list[dict]:
    """Rows of captions; all but the text is missing."""
    nothing = dict.fromkeys(captions.SCHEMA.names)
    return [
        nothing | {"image_id": image_id, "region": i, "text": text} for i, text in enumerate(texts)
    ]


@pytest.fixture
def embedded(make_manifest, provenance, tmp_path):
    """A function that writes captions, runs the stage and reads its vectors and statistics."""

    def make(per_image: list[list[str]], **options):
        ids = [f"{i:02d}.png" for i in range(len(per_image))]
        folder = make_manifest(tmp_path / "set", ids)
        rows = [row for i, texts in zip(ids, per_image, strict=True) for row in texts_of(i, texts)]
        table = pa.Table.from_pylist(rows, schema=captions.SCHEMA)
        captioned, made = product_path(folder, "caption", "00000"), provenance("captions")
        captions.write(captioned, table, made)
        write_json(stats_path(captioned), {"provenance": made.to_json()})
        embed.run(folder, EmbedOptions(**{"encoder": PACKAGED} | options), max_failed_fraction=0)
        path = product_path(folder, "embed", "00000")
        stats = json.loads(stats_path(path).read_text("utf-8"))
        return embeddings.read(path)[0], stats

    return make


def test_vectors_are_those_of_the_library_and_of_its_definition(embedded):
    result, _ = embedded([TEXTS])
    folder = encoder_folder(PACKAGED)
    library = SentenceTransformer(str(folder), local_files_only=True).encode(TEXTS)
    np.testing.assert_allclose(result.vectors, library, atol=HALF)
    # its card: mean over tokens, then unit length
    tokens = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(folder)(**tokens).last_hidden_state
    mask = tokens["attention_mask"][..., None]
    mean = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1))
    np.testing.assert_allclose(result.vectors, mean.numpy(), atol=HALF)


def test_batches_and_shards_change_nothing(embedded):
    whole, _ = embedded([TEXTS])
    for batch_size in (1, 7):
        result, _ = embedded([TEXTS[:15], TEXTS[15:]], batch_size=batch_size)
        np.testing.assert_allclose(result.vectors, whole.vectors, atol=1e-3)
        assert result.offsets.tolist() == [0, 15, 40]


def test_truncated_captions_are_counted_each(embedded):
    result, stats = embedded([["short", LONG], [LONG]])
    assert result.truncated == 2
    assert (stats["captions"], stats["unique"]) == (3, 2)


def test_pooling_and_length_are_the_folders_own(embedded, tmp_path):
    """A folder whose card wants the first token, and no unit length."""
    packaged = encoder_folder(PACKAGED)
    words = AutoTokenizer.from_pretrained(packaged)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    torch.manual_seed(0)
    model = BertModel(config).eval()
    folder = tmp_path / "encoder"
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_cls_token": True}
    pooling |= {"pooling_mode_mean_tokens": False}
    (folder / "1/config.json").write_text(json.dumps(pooling))
    result, _ = embedded([TEXTS], encoder=str(folder))
    tokens = words(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        first = model(**tokens).last_hidden_state[:, 0].numpy()
    np.testing.assert_allclose(result.vectors, first, rtol=2e-3, atol=2e-3)
    assert np.linalg.norm(first, axis=1).min() > 2


def test_no_encoder_gives_vectors_without_numbers(embedded):
    assert EmbedOptions().encoder == NO_TEXT
    result, stats = embedded([TEXTS[:3], [LONG]], encoder=NO_TEXT)
    assert result.vectors.shape == (4, 0)
    assert result.offsets.tolist() == [0, 3, 4]
    assert (result.truncated, stats["unique"]) == (0, 4)


def test_half_precision_is_near(embedded):
    whole, _ = embedded([TEXTS])
    half, _ = embedded([TEXTS], precision="bf16")
    cosine = (whole.vectors.astype(float) * half.vectors).sum(1)
    assert cosine.min() > 0.995
    assert (whole.vectors != half.vectors).any()
