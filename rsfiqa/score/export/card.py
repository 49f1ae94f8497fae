"""What an exported model needs to be used: its card, and the page of a model on the hub."""

from typing import Any

import yaml

from rsfiqa.captioners.classifier.perceived import LEAST_EXPECTED
from rsfiqa.checkpoints import Card, label_of
from rsfiqa.score.export.graph import ScoringGraph
from rsfiqa.vocabulary import RATINGS

MIN_SIDE = 16  # pixels
OUTPUTS = {
    "score": "(), predicted MOS",
    "region_score": "(R,), predicted MOS of each region",
    "region_weight": "(R,), importance of each region; sums to 1",
    "region_cost": "(R,), points that each region takes from the image",
    "attention": "(G, G), weight of each cell of the image; sums to 1",
    "cost_map": "(G, G), points that each cell takes from the image",
    "ratings": f"(R, 5), {', '.join(RATINGS)} in [1, 5], higher is better",
    "probability": "(R, F), of each family of distortions; a family counts as found where"
    " probability times severity is least_expected_severity or more",
    "severity": "(R, F), of each family where it is present, 0 to about 5",
}


def onnx_card(
    card: Card, digest: str, graph: ScoringGraph, families: tuple[str, ...], **made: Any
) -> dict[str, Any]:
    """The card of an exported file.

    Args:
        card: of the checkpoint.
        digest: of its weights.
        graph: that was exported.
        families: names of the distortions in `probability` and `severity`.
        made: further entries, such as the opset.
    """
    side = card.backbone["long_side"]
    inputs = {
        "image": f"uint8 (H, W, 3), sRGB, upright, {MIN_SIDE} <= sides <= {side}; a larger picture"
        " is area-averaged; leave out a border of one color",
        "labels": f"int64 (h, w), region of each pixel, 0 to R - 1, {MIN_SIDE} <= h <= H,"
        f" {MIN_SIDE} <= w <= W; any partition; training used that of the segmenter",
    }
    of_captions = {
        "ratings": f"float32 (R, 5), {', '.join(RATINGS)} in [1, 5] by the captioner"
        f" {card.caption['backend']}; NaN where one is missing",
        "text": f"float32 (R, {graph.text_dim}), embeddings of the captions by"
        f" {card.encoder['encoder']}; 0 where one is missing",
    }
    inputs |= {name: of_captions[name] for name in graph.caption_inputs}
    return {
        "checkpoint": label_of(card, digest),
        "inputs": inputs,
        "outputs": {name: OUTPUTS[name] for name in graph.outputs},
        "families": list(families),
        "least_expected_severity": LEAST_EXPECTED if families else None,
        "scale": {"low": card.scale.low, "high": card.scale.high, "better": card.scale.direction},
        "segmenter": card.segment,
        "long_side": side,
        "preprocessing": "inside the graph: division by 255, mean and standard deviation",
        "licence": licence_of(card),
        **made,
    }


def licence_of(card: Card) -> str:
    """The licence of the code, and what bounds that of the weights."""
    return f"Apache-2.0; trained on {', '.join(card.datasets)}, whose terms are their authors'"


def model_page(card: Card, digest: str) -> str:
    """README.md of a model on the hub, with metadata in YAML."""
    metadata = {
        "license": "apache-2.0",
        "library_name": "rsfiqa",
        "pipeline_tag": "image-classification",
        "tags": ["image-quality-assessment", "no-reference", "iqa"],
        "datasets": card.datasets,
        "metrics": ["spearmanr", "pearsonr"],
    }
    metrics = "".join(f"| {name} | {value:g} |\n" for name, value in card.test_metrics.items())
    table = f"\n| metric on held-out splits | value |\n|---|---|\n{metrics}" if metrics else ""
    return (
        f"---\n{yaml.safe_dump(metadata, sort_keys=False)}---\n\n# {label_of(card, digest)}\n\n"
        "No-reference image quality by region: a predicted mean opinion score, the worst region,"
        f" and why.\nThe scale is {card.scale}. It was trained on {', '.join(card.datasets)};"
        " their terms are their authors'.\n\n"
        "```python\nfrom rsfiqa import Scorer\n\n"
        'scorer = Scorer.from_pretrained("this folder or the name of this repository")\n'
        'print(scorer.score("photo.jpg").score)\n```\n'
        f"{table}"
    )
