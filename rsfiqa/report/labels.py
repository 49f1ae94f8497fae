"""Names and order of the methods in tables and plots."""

from rsfiqa.benchmark.options import BASELINES
from rsfiqa.captioners import CAPTIONERS
from rsfiqa.vocabulary import VARIANTS

FULL = "full"
MINUS = "\N{MINUS SIGN}"
VARIANT_LABELS = {
    FULL: "RSFIQA",
    "no_mhf": f"{MINUS}MHF",
    "no_rsa": f"{MINUS}RSA",
    "none": f"{MINUS}MHF {MINUS}captions {MINUS}RSA",
}

# What a row is, for readers who do not know the method.
DESCRIPTIONS = {
    FULL: "the full model",
    "no_mhf": "only the features of the backbone's last stage",
    "no_mllm": "neither sentences nor ratings of regions",
    "no_rsa": "no attention to regions; each counts by its area",
    "none": "none of the three",
}


def method_description(method: str) -> str:
    """What a variant of the model has or lacks; empty for a baseline, whose label says it."""
    return DESCRIPTIONS.get(method, "")


def method_label(method: str, caption_backend: str) -> str:
    """The name of a variant or baseline in tables.

    Args:
        method: its name in results.
        caption_backend: the captioner of the training images; empty if unknown.
    """
    if method == "no_mllm":
        return f"{MINUS}{_captions_label(caption_backend)}"
    if method in BASELINES:
        return BASELINES[method].label
    return VARIANT_LABELS.get(method, method)


def _captions_label(backend: str) -> str:
    """What a model without captions lacks; MLLM only if a language model wrote them."""
    if not backend:
        return "captions"
    if backend in CAPTIONERS and not CAPTIONERS[backend].is_language_model:
        return f"captions ({backend.replace('_', '-')})"
    return "MLLM"


def method_order(method: str) -> tuple[int, str]:
    """Sort key: the full model first, then its variants, then all others by name."""
    return (VARIANTS.index(method) if method in VARIANTS else len(VARIANTS)), method
