import copy

import pytest
import torch
from PIL import Image
from tokenizers.processors import TemplateProcessing
from transformers import AutoProcessor

from rsfiqa.errors import InputError
from rsfiqa.teach import examples
from rsfiqa.teach.batches import IGNORED, Collator


@pytest.fixture(scope="module")
def collator(folder, tiny_model):
    return Collator(AutoProcessor.from_pretrained(tiny_model), folder)


@pytest.fixture(scope="module")
def train(folder):
    return examples.read(folder / "train.jsonl")


def test_only_the_answer_has_a_loss(collator, train):
    row = collator.row(train[0])
    learned = row["labels"][0] != IGNORED
    assert not learned[: learned.nonzero()[0, 0]].any()
    assert learned[learned.nonzero()[0, 0] :].all()
    text = collator.processor.tokenizer.decode(row["input_ids"][0][learned])
    assert text.strip() == train[0].messages[-1]["content"][0]["text"] + "<|im_end|>"


def test_the_prompt_is_tokenized_as_in_a_server(collator, train):
    messages = copy.deepcopy(list(train[0].messages[:-1]))
    images = iter(train[0].images)
    for part in messages[1]["content"]:
        if part["type"] == "image":
            part["image"] = Image.open(collator.folder / next(images))
    served = collator.processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    row = collator.row(train[0])
    length = served["input_ids"].shape[1]
    assert torch.equal(row["input_ids"][:, :length], served["input_ids"])
    assert torch.equal(row["pixel_values"], served["pixel_values"])
    assert (row["labels"][0, :length] == IGNORED).all()
    assert row["labels"][0, length] != IGNORED


def test_the_template_alone_writes_special_tokens(collator, train, folder, tiny_model):
    """With a tokenizer that begins every text with a special token, as those of some models do."""
    expected = collator.row(train[0])["input_ids"]
    processor = AutoProcessor.from_pretrained(tiny_model)
    begin = "<|endoftext|>"
    pair = (begin, processor.tokenizer.convert_tokens_to_ids(begin))
    processor.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A", special_tokens=[pair]
    )
    assert processor.tokenizer("a")["input_ids"][0] == pair[1]
    assert torch.equal(Collator(processor, folder).row(train[0])["input_ids"], expected)


def test_padding_does_not_change_the_loss(collator, train, tiny_model):
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tiny_model).eval()
    chosen = sorted(train, key=lambda one: len(one.to_json()))[:: len(train) - 1]
    batch = collator(chosen)
    assert batch["input_ids"].shape[0] == 2
    alone = [collator([example]) for example in chosen]
    counts = torch.tensor([float((one["labels"] != IGNORED).sum()) for one in alone])
    assert counts[0] != counts[1]
    with torch.no_grad():
        losses = torch.stack([model(**one).loss for one in alone])
        together = model(**batch).loss
    assert together == pytest.approx(float((losses * counts).sum() / counts.sum()), rel=1e-5)


def test_a_template_that_changes_the_prompt_is_refused(train, folder, tiny_model):
    processor = AutoProcessor.from_pretrained(tiny_model)
    processor.chat_template = "{{ messages | length }}"
    with pytest.raises(InputError, match=r"its chat template must leave a question as it is"):
        Collator(processor, folder).texts(train[0])
