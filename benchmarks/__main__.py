"""`python -m benchmarks NAME [--data DIR] ...`; `python -m benchmarks NAME --help` for options."""

import sys
from importlib import import_module

from rsfiqa.io.terminal import escape_unencodable

BENCHMARKS = {
    "ablation": "when MHF, captions and RSA help, with the power to tell",
    "accuracy": "LIVEC and AGIQA-3K through the pipeline: splits, ablation, across data sets",
    "backbones": "the packaged backbones, frozen, on the same splits of LIVEC",
    "caption": "the caption stage against a bare request loop, and its prefix cache (needs vLLM)",
    "curate": "grouping ten thousand pictures, choosing the best of a burst",
    "finetune": "a fine-tuned backbone against the frozen one on the same splits",
    "gpu": "SAM, fine-tuning, torch.compile and LoRA of a 7-billion-parameter VLM on a GPU",
    "invariances": "what should not move a score: mirroring, borders, file formats, sizes",
    "large": "ten thousand images through the whole pipeline",
    "localization": "distorted-region localization and ordering of one checkpoint",
    "model_card": "figures of the model card from docs/figures/bench-packaged.json",
    "perception": "whether the reason agrees with the score and with people",
    "runtimes": "libraries that can run the packaged backbone on a CPU: time and error",
    "scale": "planning of a million images, overhead of the pipeline per image",
    "score": "speed and memory of rsfiqa score, an installation by pip",
    "segment": "SAM regions against the package's own generator, superpixels",
    "summary": "docs/results.md and docs/targets.md from docs/figures",
    "teach": "how well captioners name distortions on held-out photographs (needs vLLM)",
    "workflow": "snakemake score: planning of a million pictures, speed against rsfiqa score",
}


def main(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names; 2 if there is none."""
    escape_unencodable()
    if arguments[:1] and arguments[0] in BENCHMARKS:
        import_module(f"benchmarks.{arguments[0]}").main(arguments[1:])
        return 0
    usage = [f"  {name:13} {what}" for name, what in BENCHMARKS.items()]
    print("\n".join(["usage: python -m benchmarks NAME [options]", "", *usage]), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
