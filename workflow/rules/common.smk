"""What the rules share: the checked configuration, flags, shards, resources."""

import os
import shlex
import sys
from pathlib import Path

sys.path.insert(0, workflow.basedir)
from snakemake.exceptions import WorkflowError

from rsfiqa.captioners import CAPTIONERS
from rsfiqa.errors import InputError
from rsfiqa.prepare.entries import plan_shards
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products.paths import SUFFIX
from rsfiqa.products.versions import VERSIONS
from rsfiqa.segmenters import SEGMENTERS
from workflow.configuration import check

try:
    config = check(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

RESULTS = config["results"]
DATASETS = config["benchmark"]["datasets"]
# a job's commands find the package in this checkout, and the interpreter that runs Snakemake
# unless the rule's own conda environment has been activated
OWN_CONDA = shlex.quote(os.environ.get("CONDA_PREFIX", ""))
BIN = shlex.quote(str(Path(sys.executable).parent))
shell.prefix(
    f"export PYTHONPATH={shlex.quote(str(workflow.basedir))};"
    f' [ "${{{{CONDA_PREFIX-}}}}" != {OWN_CONDA} ] || export PATH={BIN}:"$PATH"; '
)


# a mask generator has processes that read ahead beside it
SEGMENT_THREADS = (
    1 + config["segment"]["workers"]
    if SEGMENTERS[config["segment"]["backend"]].uses_processes
    else 1
)
FINETUNE = config["train"]["finetune"]["enabled"]
TRAIN_GPUS = config["gpus"]["train"] if FINETUNE else 0  # a process on each
TRAIN_THREADS = (
    max(1, TRAIN_GPUS)
    * (config["train"]["finetune"]["threads"] + config["train"]["finetune"]["workers"])
    if FINETUNE
    else 1
)
# captions that a job's own server makes need vllm beside the stage, and a machine that feeds its
# GPUs: processes that prepare pictures, and memory through which the weights of each copy go
OWN_SERVER = (
    CAPTIONERS[config["caption"]["backend"]].uses_server
    and not config["caption"]["endpoints"]
)
SERVED_GPUS = max(1, config["gpus"]["caption"])
FINETUNED_MODEL = f"{RESULTS}/teach/finetuned/model"


wildcard_constraints:
    dataset="[a-z0-9_]+",
    train="[a-z0-9_]+",
    test="[a-z0-9_]+",
    variant="[a-z0-9_]+",
    shard=r"\d{5}",
    split=r"(split|official|all)-\d+",


def flags(options, prefix=""):
    """Options of a stage as command line flags, for every value that is set."""
    words = []
    for key, value in sorted(options.items()):
        flag = f"--{prefix}{key.replace('_', '-')}"
        if value is None or value == []:
            continue
        if isinstance(value, dict):
            words.append(flags(value, f"{flag[2:]}."))
            continue
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            values = value if isinstance(value, list) else [value]
            # with = because a value may begin with a dash
            words += [f"{flag}={shlex.quote(str(item))}" for item in values]
    return " ".join(words)


def stage_flags(stage):
    """The flags of a stage that works shard by shard."""
    return flags(config[stage] | {"max_failed_fraction": config["max_failed_fraction"]})


def prepare_flags(wildcards):
    """The flags that describe one data set."""
    common = {key: config[key] for key in ("max_failed_fraction", "seed", "shard_size")}
    return flags(config["datasets"][wildcards.dataset] | common)


def memory(megabytes):
    """Memory that doubles with every attempt."""
    return lambda wildcards, attempt: megabytes * 2 ** (attempt - 1)


def minutes(number):
    """Run time that doubles with every attempt."""
    return lambda wildcards, attempt: number * 2 ** (attempt - 1)


def processes(number):
    """The command that starts a program in so many processes."""
    many = f"python -m torch.distributed.run --standalone --nproc-per-node {number}"
    return many if number > 1 else "python"


def pristine_regions(wildcards):
    """The regions of the photographs that examples are made of."""
    return [
        f"{RESULTS}/{dataset}/segment/{shard}.h5"
        for dataset in config["teach"]["datasets"]
        for shard in shards(dataset)
    ]


def captioner_flags(wildcards):
    """The flags of a model that is tested, with a server of its own."""
    base = config["teach"]["train"]["model"]
    if base is None:
        raise WorkflowError(
            "teach.train.model: must be given, found nothing; name a model's folder"
        )
    model, weights = wildcards.name, FINETUNED_MODEL
    if wildcards.name == "zero_shot":
        model = base
        weights = base if Path(base).expanduser().is_dir() else None
    server = config["caption"]["server"] | {"weights": weights}
    changes = {"backend": "vllm", "endpoints": [], "model": model, "server": server}
    return flags(config["caption"] | changes)


def checkpoints_of(wildcards):
    """The checkpoints that a benchmark job tests; none for a peer, which is fitted there."""
    if wildcards.variant in config["benchmark"]["baselines"]:
        return []
    kind = split_kind(wildcards)
    folder = f"{RESULTS}/train/{wildcards.train}.{wildcards.variant}"
    return [
        f"{folder}/{kind}-{i:02d}/card.json" for i in range(benchmark_number(wildcards))
    ]


def split_kind(wildcards):
    """What the splits of a benchmark job are called: split, official or all."""
    if wildcards.train != wildcards.test:
        return "all"
    return "official" if wildcards.train in config["benchmark"]["official"] else "split"


def benchmark_number(wildcards):
    """How many splits or seeds a benchmark job covers; a peer has no seed."""
    if split_kind(wildcards) == "split":
        return config["benchmark"]["splits"]
    peer = wildcards.variant in config["benchmark"]["baselines"]
    return 1 if peer else config["benchmark"]["seeds"]


def shards(dataset):
    """The names of a data set's shards, known before its images are opened."""
    options = PrepareOptions(**config["datasets"][dataset])
    return plan_shards(Path(RESULTS) / dataset, options, config["shard_size"])


def products_of(*names):
    """An input function: all products of the data sets that these wildcards name."""

    def products(wildcards):
        return [
            f"{RESULTS}/{dataset}/{path}"
            for dataset in sorted({wildcards[name] for name in names})
            for path in ["manifest.parquet", *SHARDED[dataset]]
        ]

    return products


def tables():
    """All tables of results: every variant and peer within sets, model and baselines across."""
    variants = config["benchmark"]["variants"] + config["benchmark"]["baselines"]
    across = [
        v for v in variants if v == "full" or v in config["benchmark"]["baselines"]
    ]
    pairs = [
        (a, b)
        for a in DATASETS
        for b in DATASETS
        if a == b or config["benchmark"]["cross"]
    ]
    return [
        f"{RESULTS}/benchmark/{a}.{b}.{variant}.parquet"
        for a, b in pairs
        for variant in (variants if a == b else across)
    ]


try:
    SHARDED = {
        dataset: [
            f"{stage}/{shard}{suffix}"
            for shard in shards(dataset)
            for stage, suffix in SUFFIX.items()
        ]
        for dataset in DATASETS
    }
except InputError as error:
    raise WorkflowError(str(error)) from None
