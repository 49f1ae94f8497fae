"""A fine-tuned model answers through vLLM as it does through transformers."""

import asyncio

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm import prompt
from rsfiqa.captioners.vlm.client import Client
from rsfiqa.captioners.vlm.requests import region_request
from rsfiqa.captioners.vlm.server import Server
from rsfiqa.teach import evaluate, examples, train
from rsfiqa.teach.batches import Collator
from rsfiqa.teach.options import TeachTrainOptions
from tests.support.captioning import TINY_QWEN
from tests.support.teach import make_examples, make_photographs

PROMPTS = 50
LONGEST = 200  # tokens of an answer
TOLERANCE = 1e-3  # of log-probabilities: another torch, other kernels
CLOSE = 0.01  # nats; a token that leads by less may fall behind
QUICK = {
    "epochs": 6,
    "batch_size": 2,
    "gradient_accumulation_steps": 1,
    "lr": 3e-3,
    "targets": r".*(_proj|qkv|lm_head)",
    "precision": "fp32",
}
pytestmark = pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Examples of three small photographs."""
    folder = tmp_path_factory.mktemp("teach")
    make_examples(folder, make_photographs(tmp_path_factory.mktemp("kodak")))
    return folder


@pytest.fixture(scope="module")
def finetuned(model, folder, tmp_path_factory):
    """The folder of the tiny model after fine-tuning, with its low-rank updates merged."""
    output = tmp_path_factory.mktemp("finetuned")
    train.run(folder, output, TeachTrainOptions(model=str(model), **QUICK), seed=0)
    return output / "model"


@pytest.fixture(scope="module")
def options(served, finetuned):
    """Options of the fine-tuned model's server."""
    limits = {"max_pixels": 50_000, "max_tokens": LONGEST, "concurrency": 8}
    server = served["server"] | {"weights": str(finetuned)}
    return CaptionOptions(backend="vllm", **served | {"server": server} | limits)


@pytest.fixture(scope="module")
def chosen(folder):
    """Examples for testing."""
    return examples.read(folder / "test.jsonl")[:PROMPTS]


@torch.inference_mode()
def generated(folder, chosen, finetuned):
    """Tokens of each answer with their log-probabilities, and the lead of each, by transformers."""
    processor = AutoProcessor.from_pretrained(finetuned)
    model = AutoModelForImageTextToText.from_pretrained(finetuned, dtype=torch.float32).eval()
    collator = Collator(processor, folder)
    for example in chosen:
        row = collator.row(example)
        prompt_length = int((row["labels"] == -100).sum())
        length = row["input_ids"].shape[1]
        inputs = {
            name: value[:, :prompt_length] if value.shape[:2] == (1, length) else value
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
        tokens = found.sequences[0, prompt_length:]
        logprobs = torch.stack(found.logits)[:, 0].log_softmax(-1)
        best = logprobs.topk(2).values
        chosen_logprobs = logprobs.gather(1, tokens[:, None])[:, 0]
        yield tokens.tolist(), chosen_logprobs.tolist(), (best[:, 0] - best[:, 1]).tolist()


def replies(url, folder, chosen):
    """The same by a server, without a schema."""
    limits = CaptionOptions(backend="vllm", model=TINY_QWEN, endpoints=(url,), max_tokens=LONGEST)

    async def all_of_them():
        async with Client([url], concurrency=8, timeout=120, retry_timeout=120) as client:
            bodies = []
            for example in chosen:
                uris = [prompt.data_uri((folder / path).read_bytes()) for path in example.images]
                body = region_request(example.id, *uris, limits).body
                bodies.append({k: v for k, v in body.items() if k != "response_format"})
            return await asyncio.gather(*(client.complete(body | {"seed": 0}) for body in bodies))

    return asyncio.run(all_of_them())


def test_answers_are_those_of_transformers(options, folder, chosen, finetuned, tmp_path):
    assert len(chosen) == PROMPTS
    with Server(options.server, TINY_QWEN, tmp_path / "server.log") as server:
        served = replies(server.url, folder, chosen)
    tokenizer = AutoProcessor.from_pretrained(finetuned).tokenizer
    worst, totals = 0.0, []
    pairs = zip(served, generated(folder, chosen, finetuned), strict=True)
    for reply, (tokens, logprobs, lead) in pairs:
        assert min(lead) > CLOSE
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        assert reply.text == text
        found = [token.logprob for token in reply.tokens]
        assert len(found) in (len(tokens), len(tokens) - 1)  # the end of the turn may be left out
        worst = max(worst, *(abs(a - b) for a, b in zip(found, logprobs, strict=False)))
        totals.append(sum(logprobs))
    assert worst < TOLERANCE
    assert np.std(totals) > 10 * TOLERANCE  # answers depend on prompts and images


def test_a_model_is_compared_with_the_rule_based_captioner(options, folder):
    evaluate.run(folder, "test", CaptionOptions(backend="rule_based"), name="rule_based")
    longer = options.model_copy(update={"max_tokens": 2 * LONGEST})
    table = evaluate.run(folder, "test", longer, name="finetuned")
    assert table.splitlines()[0].split()[-3:] == ["finetuned", "rule_based", "chance"]
    (valid,) = (line for line in table.splitlines() if line.startswith("valid_fraction"))
    assert float(valid.split()[1]) == 1
    assert (folder / "tests/finetuned.server.log").is_file()
