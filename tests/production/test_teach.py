"""A model that was taught answers through vLLM as it does through transformers."""

import asyncio

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm import captioner as vlm
from rsfiqa.captioners.vlm import prompt
from rsfiqa.captioners.vlm.client import Client
from rsfiqa.captioners.vlm.server import Server
from rsfiqa.teach import examples, test, train
from rsfiqa.teach.batches import Collator
from rsfiqa.teach.options import TeachTrainOptions
from tests.production.conftest import NAME
from tests.teach.conftest import kodak, made  # noqa: F401

PROMPTS = 50
LONGEST = 200  # tokens of an answer
TOLERANCE = 1e-3  # of log-probabilities: another torch, other kernels
CLOSE = 0.01  # nats; a token that leads by less may fall behind
QUICK = {
    "epochs": 6,
    "batch_size": 2,
    "accumulate": 1,
    "learning_rate": 3e-3,
    "targets": r".*(_proj|qkv|lm_head)",
    "precision": "fp32",
}
pytestmark = pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")


@pytest.fixture(scope="module")
def taught(model, made, tmp_path_factory):  # noqa: F811
    """The folder of the tiny model, taught, with its low-rank updates merged."""
    output = tmp_path_factory.mktemp("taught")
    train.run(made, output, TeachTrainOptions(model=str(model), **QUICK), seed=0)
    return output / "model"


@pytest.fixture(scope="module")
def options(served, taught):
    """What the taught model is served with."""
    limits = {"max_pixels": 50_000, "max_tokens": LONGEST, "concurrency": 8}
    return CaptionOptions(backend="vllm", **served | {"weights": str(taught)} | limits)


@pytest.fixture(scope="module")
def chosen(made):  # noqa: F811
    """Examples to test by."""
    return examples.read(made / "test.jsonl")[:PROMPTS]


@torch.inference_mode()
def generated(folder, chosen, taught):
    """Tokens of each answer with their log-probabilities, and the lead of each, by transformers."""
    processor = AutoProcessor.from_pretrained(taught)
    model = AutoModelForImageTextToText.from_pretrained(taught, dtype=torch.float32).eval()
    collator = Collator(processor, folder)
    for example in chosen:
        row = collator.one(example)
        asked_for = int((row["labels"] == -100).sum())
        length = row["input_ids"].shape[1]
        inputs = {
            name: value[:, :asked_for] if value.shape[:2] == (1, length) else value
            for name, value in row.items()
            if name != "labels"
        }
        found = model.generate(
            **inputs,
            max_new_tokens=LONGEST,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        tokens = found.sequences[0, asked_for:]
        logprobs = torch.stack(found.logits)[:, 0].log_softmax(-1)
        best = logprobs.topk(2).values
        chosen_logprobs = logprobs.gather(1, tokens[:, None])[:, 0]
        yield tokens.tolist(), chosen_logprobs.tolist(), (best[:, 0] - best[:, 1]).tolist()


def replies(url, folder, chosen):
    """The same by a server, without a schema."""
    limits = CaptionOptions(backend="vllm", model=NAME, endpoints=(url,), max_tokens=LONGEST)

    async def all_of_them():
        async with Client([url], concurrency=8, timeout=120, patience=120) as client:
            bodies = []
            for example in chosen:
                uris = [prompt.data_uri((folder / path).read_bytes()) for path in example.images]
                body = vlm.question_about(example.id, *uris, limits).body
                bodies.append({k: v for k, v in body.items() if k != "response_format"})
            return await asyncio.gather(*(client.ask(body | {"seed": 0}) for body in bodies))

    return asyncio.run(all_of_them())


def test_answers_are_those_of_transformers(options, made, chosen, taught, tmp_path):  # noqa: F811
    assert len(chosen) == PROMPTS
    with Server(options, tmp_path / "server.log") as server:
        told = replies(server.url, made, chosen)
    tokenizer = AutoProcessor.from_pretrained(taught).tokenizer
    worst, totals = 0.0, []
    for reply, (tokens, logprobs, lead) in zip(told, generated(made, chosen, taught), strict=True):
        assert min(lead) > CLOSE
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        assert reply.text == text
        served = [token.logprob for token in reply.tokens]
        assert len(served) in (len(tokens), len(tokens) - 1)  # the end of the turn may be left out
        worst = max(worst, max(abs(a - b) for a, b in zip(served, logprobs, strict=False)))
        totals.append(sum(logprobs))
    assert worst < TOLERANCE
    assert np.std(totals) > 10 * TOLERANCE  # the answers depend on what is asked and shown


def test_a_model_is_tested_beside_the_measured_captioner(options, made):  # noqa: F811
    test.run(made, "test", CaptionOptions(), name="rule_based")
    longer = options.model_copy(update={"max_tokens": 2 * LONGEST})
    shown = test.run(made, "test", longer, name="taught")
    assert shown.splitlines()[0].split()[-3:] == ["rule_based", "taught", "chance"]
    (valid,) = (line for line in shown.splitlines() if line.startswith("valid_fraction"))
    assert float(valid.split()[2]) == 1
    assert (made / "tests/taught.server.log").is_file()
