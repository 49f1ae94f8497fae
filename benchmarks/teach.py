"""How well captioners name distortions on the eight photographs of Kodak that are kept for it.

Single distortions of one region: 12 families at 5 severities, and none. The rule-based captioner,
and a tiny Qwen2.5-VL with random weights before and after fine-tuning with LoRA, served by vLLM,
which tries the whole path: so small a model learns nothing. Twenty minutes on two cores.
"""

import json
import sys
from collections.abc import Sequence

from benchmarks.figures import RELEASES, ROOT, add_data, parser, run, write
from benchmarks.vllm_cpu import PYTHON, make_ready, write_tiny_model

FOLDER = ROOT / "results" / "bench" / "teach"
# the last layer too, whose weights are random
TRAINING = {
    "targets": r".*(_proj|qkv|lm_head)",
    "epochs": 2,
    "batch-size": 4,
    "gradient-accumulation-steps": 2,
    "lr": 2e-3,
    "precision": "fp32",
}
SERVING = {
    "backend": "vllm",
    "model": "tiny",
    "server.python": PYTHON,
    "server.dtype": "float32",
    "server.arguments": "--enforce-eager",
    "max-pixels": 50_000,
    "max-tokens": 400,
    "concurrency": 8,
}
NAMES = ("rule_based", "zero_shot", "tiny")


def flags(options: dict[str, object]) -> list[str]:
    """Options as flags of a command line."""
    return [
        f"--no-{name}" if value is False else f"--{name}={value}" for name, value in options.items()
    ]


def main(arguments: Sequence[str]) -> None:
    """Make the examples, fine-tune, test, write the figures."""
    options = parser(__name__, __doc__)
    add_data(options, "kodak")
    data = options.parse_args(arguments).data
    make_ready()
    rsfiqa = (sys.executable, "-m", "rsfiqa")
    kodak, examples = FOLDER / "kodak", FOLDER / "examples"
    base, tiny = FOLDER / "base", FOLDER / "tiny"
    run(*rsfiqa, "prepare", kodak, "--layout", "kodak", "--root", data / RELEASES["kodak"])
    run(*rsfiqa, "segment", kodak)
    run(*rsfiqa, "teach", "data", examples, "--source", kodak)
    run(*rsfiqa, "teach", "test", examples)
    write_tiny_model(base)
    run(*rsfiqa, "teach", "train", examples, "-o", tiny, f"--model={base}", *flags(TRAINING))
    for name, weights in (("zero_shot", base), ("tiny", tiny / "model")):
        served = (f"--server.weights={weights}", *flags(SERVING))
        run(*rsfiqa, "teach", "test", examples, f"--name={name}", *served)
    losses = json.loads((tiny / "teach.json").read_text("utf-8"))["losses"]
    figures: dict[str, float] = {}
    for name in NAMES:
        found = json.loads((examples / "tests" / f"{name}.test.json").read_text("utf-8"))
        del found["examples"]
        same = {key: value for key, value in found.items() if key.startswith("chance_")}
        same["n"] = found["n"]
        figures |= same | {f"{name}_{k}": value for k, value in found.items() if k not in same}
    figures["valid_fraction"] = figures["tiny_valid_fraction"]
    figures["tiny_loss_first"], figures["tiny_loss_last"] = losses[0][1], losses[-1][1]
    write("bench-teach", figures, "python -m benchmarks teach --data DIR")
