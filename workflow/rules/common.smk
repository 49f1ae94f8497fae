"""What the rules share: the checked configuration, flags, shards, resources."""

import logging
import os
import shlex
import sys
from pathlib import Path
from subprocess import CalledProcessError

sys.path.insert(0, workflow.basedir)
from snakemake.exceptions import WorkflowError

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.errors import InputError
from rsfiqa.io.home import expand_home
from rsfiqa.prepare.entries import plan_shards
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products.paths import SUFFIX
from rsfiqa.products.versions import VERSIONS
from rsfiqa.splits import split_name
from workflow.configuration import check, segment_threads
from workflow.datasets import check_official_split
from workflow.keys import check_keys

if set("{}") & set(str(workflow.basedir)):
    raise WorkflowError(
        f"{workflow.basedir}: the folder of the workflow must be without braces in its path, which"
        " Snakemake takes for wildcards; move it"
    )
try:
    for path in workflow.configfiles if workflow.is_main_process else []:
        check_keys(Path(path))
    config = check(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

RESULTS = config["results"]
OVERLAP = f"{RESULTS}/benchmark/overlap.json"
DATASETS = config["benchmark"]["datasets"]
# a job's command finds the package in this checkout, and the interpreter that runs Snakemake
# unless the rule's own conda environment has been activated. Folders in the user's PYTHONPATH or
# the working directory are left out: they may hold packages for another interpreter, or of the
# same names. exec makes the command the job's process, so that no kill leaves an orphan; it is left
# out in an interactive shell, which it would close, as the whole line stands in error messages
OWN_CONDA = shlex.quote(os.environ.get("CONDA_PREFIX", ""))
BIN = shlex.quote(str(Path(sys.executable).parent))
PREFIX = (
    f'p=$PATH; [ "${{CONDA_PREFIX-}}" != {OWN_CONDA} ] || p={BIN}:$PATH;'
    " case $- in *i*) e= ;; *) e=exec ;; esac;"
    f' $e env PATH="$p" PYTHONPATH={shlex.quote(str(workflow.basedir))} PYTHONSAFEPATH=1 '
)
shell.prefix(PREFIX.replace("{", "{{").replace("}", "}}"))  # braces are no fields in it


FINETUNE = config["train"]["finetune"]["enabled"]
TRAIN_GPUS = config["gpus"]["train"] if FINETUNE else 0  # a process on each
TRAIN_THREADS = (
    max(1, TRAIN_GPUS)
    * (config["train"]["finetune"]["threads"] + config["train"]["finetune"]["workers"])
    if FINETUNE
    else 1
)
# a job's own model server needs vllm beside the stage, and a machine that feeds its GPUs:
# processes that prepare images, and memory through which the weights of each copy go
OWN_SERVER = CaptionOptions(**config["caption"]).starts_server
SERVED_GPUS = max(1, config["gpus"]["caption"])
VARIANTS = config["benchmark"]["variants"]
METHODS = VARIANTS + config["benchmark"]["baselines"]
CROSS_METHODS = [method for method in METHODS if method not in set(VARIANTS) - {"full"}]
RANDOM_SPLITS = [split_name("split", i) for i in range(config["benchmark"]["splits"])]
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
        name = f"{prefix}{key.replace('_', '-')}"
        if isinstance(value, dict):
            words.append(flags(value, f"{name}."))
        elif isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif value is not None:
            values = value if isinstance(value, list) else [value]
            # with = because a value may begin with a dash
            words += [f"--{name}={shlex.quote(str(item))}" for item in values]
    return " ".join(filter(None, words))


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
        weights = base if expand_home(base).is_dir() else None
    server = config["caption"]["server"] | {"weights": weights}
    changes = {"backend": "vllm", "endpoints": [], "model": model, "server": server}
    return flags(config["caption"] | changes)


def checkpoints_of(wildcards):
    """The checkpoints that a benchmark job tests; a baseline is fitted in the job."""
    kind = split_kind(wildcards)
    return [
        f"{RESULTS}/train/{wildcards.train}.{variant}/{split_name(kind, i)}/card.json"
        for variant in methods(wildcards.train, test_set(wildcards))
        if variant in VARIANTS
        for i in range(benchmark_number(wildcards))
    ]


def overlap_of(wildcards):
    """What a train job on all images waits for; its model is only tested on other data sets."""
    return ancient(OVERLAP) if wildcards.get("split", "").startswith("all") else []


def test_set(wildcards):
    """The data set that a benchmark job tests on; within one there is no such wildcard."""
    return wildcards.get("test", wildcards.train)


def split_kind(wildcards):
    """The kind of the splits of a benchmark job: split, official or all."""
    if wildcards.train != test_set(wildcards):
        return "all"
    return "official" if wildcards.train in config["benchmark"]["official"] else "split"


def benchmark_number(wildcards):
    """The number of splits of a benchmark job, or of seeds."""
    kind = split_kind(wildcards)
    return config["benchmark"]["splits" if kind == "split" else "seeds"]


def results_folder(wildcards, output):
    """The folder of all results, of a benchmark job."""
    return Path(output[0]).parents[1]


def benchmark_flags(wildcards):
    """The flags of a benchmark job: its methods and their splits."""
    options = {
        "variant": methods(wildcards.train, test_set(wildcards)),
        "number": benchmark_number(wildcards),
        "seed": config["seed"],
        "test_fraction": config["benchmark"]["test_fraction"],
    }
    if split_kind(wildcards) == "official":
        options["official"] = True
    return flags(options)


def checkpoint_files(name):
    """A file of the checkpoints of all random splits."""
    folder = f"{RESULTS}/train/{{dataset}}.{{variant}}"
    return [f"{folder}/{split}/{name}" for split in RANDOM_SPLITS]


def train_flags(*splits):
    """The flags of a train job for these splits; they may hold wildcards."""
    options = config["train"] | {
        "seed": config["seed"],
        "split": list(splits),
        "test_fraction": config["benchmark"]["test_fraction"],
    }
    if FINETUNE:
        options["weights"] = config["extract"]["weights"]
    return flags(options)


def methods(train, test):
    """The methods that are tested on a pair of data sets."""
    return METHODS if train == test else CROSS_METHODS


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


def tables(methods, suffix=".parquet", test="{test}"):
    """The tables of results of a pair of data sets, one for each method."""
    return [
        f"{RESULTS}/benchmark/{{train}}.{test}.{method}{suffix}" for method in methods
    ]


def all_tables():
    """All tables of results that the report shows."""
    pairs = [
        (train, test)
        for train in DATASETS
        for test in DATASETS
        if train == test or config["benchmark"]["cross"]
    ]
    return [
        table.format(train=train, test=test)
        for train, test in pairs
        for table in tables(methods(train, test))
    ]


def publish_report():
    """Write the report of the tables that there are, after a run that did not make all."""
    made = [table for table in all_tables() if Path(table).is_file()]
    if made and len(made) < len(all_tables()):
        options = flags(config["report"])
        try:
            shell("python -m rsfiqa report {RESULTS:q} {options}")
        except CalledProcessError:
            pass  # it has said why


# the jobs, which read this again, neither warn nor check anew
logging.getLogger("rsfiqa").disabled = not workflow.is_main_process
try:
    SHARDED = {
        dataset: [
            f"{stage}/{shard}{suffix}"
            for shard in shards(dataset)
            for stage, suffix in SUFFIX.items()
        ]
        for dataset in DATASETS
    }
    logging.getLogger("rsfiqa").disabled = True  # all has been said
    for dataset in config["benchmark"]["official"] if workflow.is_main_process else []:
        check_official_split(dataset, PrepareOptions(**config["datasets"][dataset]))
except InputError as error:
    raise WorkflowError(str(error)) from None
