import copy

import pytest
import torch
from PIL import Image
from tokenizers.processors import TemplateProcessing

from rsfiqa.errors import InputError
from rsfiqa.teach import examples
from rsfiqa.teach.batches import IGNORED, Collator


@pytest.fixture(scope="module")
def collator(made, tiny_model):
    from transformers import AutoProcessor

    return Collator(AutoProcessor.from_pretrained(tiny_model), made)


@pytest.fixture(scope="module")
def taught(made):
    return examples.read(made / "train.jsonl")


def test_only_the_answer_is_learnt(collator, taught):
    row = collator.one(taught[0])
    learnt = row["labels"][0] != IGNORED
    assert not learnt[: learnt.nonzero()[0, 0]].any()
    assert learnt[learnt.nonzero()[0, 0] :].all()
    text = collator.processor.tokenizer.decode(row["input_ids"][0][learnt])
    assert text.strip() == taught[0].messages[-1]["content"][0]["text"] + "<|im_end|>"


def test_the_question_is_tokenised_as_it_is_served(collator, taught):
    messages = copy.deepcopy(list(taught[0].messages[:-1]))
    pictures = iter(taught[0].images)
    for part in messages[1]["content"]:
        if part["type"] == "image":
            part["image"] = Image.open(collator.folder / next(pictures))
    served = collator.processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    row = collator.one(taught[0])
    length = served["input_ids"].shape[1]
    assert torch.equal(row["input_ids"][:, :length], served["input_ids"])
    assert torch.equal(row["pixel_values"], served["pixel_values"])
    assert (row["labels"][0, :length] == IGNORED).all()
    assert row["labels"][0, length] != IGNORED


def test_the_template_alone_writes_special_tokens(collator, taught, monkeypatch):
    """A tokenizer that begins every text with a token of its own, as those of some models do."""
    wanted = collator.one(taught[0])["input_ids"]
    words = copy.deepcopy(collator.processor.tokenizer)
    begin = "<|endoftext|>"
    pair = (begin, words.convert_tokens_to_ids(begin))
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A", special_tokens=[pair]
    )
    assert words("a")["input_ids"][0] == pair[1]
    monkeypatch.setattr(collator.processor, "tokenizer", words)
    assert torch.equal(collator.one(taught[0])["input_ids"], wanted)


def test_padding_changes_no_loss(collator, taught, tiny_model):
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tiny_model).eval()
    chosen = sorted(taught, key=lambda one: len(one.to_json()))[:: len(taught) - 1]
    batch = collator(chosen)
    assert batch["input_ids"].shape[0] == 2
    alone = [collator([example]) for example in chosen]
    counts = torch.tensor([float((one["labels"] != IGNORED).sum()) for one in alone])
    assert counts[0] != counts[1]
    with torch.no_grad():
        losses = torch.stack([model(**one).loss for one in alone])
        together = model(**batch).loss
    assert together == pytest.approx(float((losses * counts).sum() / counts.sum()), rel=1e-5)


def test_a_template_that_rewrites_the_question_is_refused(collator, taught, monkeypatch):
    template = "{{ messages | length }}"
    monkeypatch.setattr(collator.processor, "chat_template", template)
    with pytest.raises(InputError, match=r"its chat template must leave a question as it is"):
        collator.texts(taught[0])
