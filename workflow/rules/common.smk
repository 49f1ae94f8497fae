"""What the rules share: the checked configuration, flags, shards, resources."""

import logging
import os
import shlex
import sys
from pathlib import Path
from subprocess import CalledProcessError

# the package of this checkout; the installed one where the rules come from a repository's address
HERE = workflow.current_basedir
CHECKOUT = (
    Path(HERE.get_path_or_uri(secret_free=True)).parents[1] if HERE.is_local else None
)
if CHECKOUT is not None:
    sys.path.insert(0, str(CHECKOUT))
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.enums import RerunTrigger

import rsfiqa
from rsfiqa.backbones import HUB
from rsfiqa.benchmark.options import BenchmarkOptions
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.errors import InputError
from rsfiqa.io.home import absolute_folder, expand_home
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import picture_lists
from rsfiqa.products.paths import SUFFIX, shard_names
from rsfiqa.products.versions import VERSIONS
from rsfiqa.score.options import ScoreOptions
from rsfiqa.splits import split_name
from rsfiqa.teach.options import TeachTrainOptions
from rsfiqa.workflow.configuration import check, segment_threads
from rsfiqa.workflow.datasets import check_official_split
from rsfiqa.workflow.installed import link_package
from rsfiqa.workflow.keys import check_keys
from rsfiqa.workflow.outdated import Outdated, manifest_shards

PACKAGE = CHECKOUT or link_package(
    Path(rsfiqa.__file__).parent, Path(".snakemake/package")
)
if set("{}") & set(str(PACKAGE)):
    raise WorkflowError(
        f"{PACKAGE}: the folder of the workflow must be without braces in its path, which"
        " Snakemake takes for wildcards; move it"
    )
try:
    for path in workflow.configfiles if workflow.is_main_process else []:
        check_keys(Path(path))
    config = check(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

RESULTS = config["results"]
LOGS = f"{RESULTS}/logs"
OUTDATED = Outdated(config)
OVERLAP = f"{RESULTS}/benchmark/overlap.json"
DATASETS = config["benchmark"]["datasets"]
# a job's command finds the package in `PACKAGE`, and the interpreter that runs Snakemake
# unless the rule's own conda environment has been activated. Folders in the user's PYTHONPATH or
# the working directory are left out: they may hold packages for another interpreter, or of the
# same names. exec makes the command the job's process, so that no kill leaves an orphan; it is left
# out in an interactive shell, which it would close, as the whole line stands in error messages
OWN_CONDA = shlex.quote(os.environ.get("CONDA_PREFIX", ""))
BIN = shlex.quote(str(Path(sys.executable).parent))
PREFIX = (
    f'p=$PATH; [ "${{CONDA_PREFIX-}}" != {OWN_CONDA} ] || p={BIN}:$PATH;'
    " case $- in *i*) e= ;; *) e=exec ;; esac;"
    f' $e env PATH="$p" PYTHONPATH={shlex.quote(str(PACKAGE))} PYTHONSAFEPATH=1 '
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
BENCHMARK = BenchmarkOptions(**config["benchmark"])
CROSS_METHODS = BENCHMARK.cross_methods
RANDOM_SPLITS = [split_name("split", i) for i in range(config["benchmark"]["splits"])]
EXAMPLES = config["teach"]["data"] | {
    "datasets": config["teach"]["datasets"],
    "seed": config["seed"],
}
FINETUNED = TeachTrainOptions(**config["teach"]["train"]).recorded() | {
    "model": absolute_folder(config["teach"]["train"]["model"] or ""),
    "seed": config["seed"],
}
FINETUNED_MODEL = f"{RESULTS}/teach/finetuned/model"


wildcard_constraints:
    dataset="[a-z0-9_]+",
    train="[a-z0-9_]+",
    test="[a-z0-9_]+",
    variant="[a-z0-9_]+",
    run="[a-z0-9_]+",
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
            values = value if isinstance(value, (list, tuple)) else [value]
            # with = because a value may begin with a dash
            words += [f"--{name}={shlex.quote(str(item))}" for item in values]
    return " ".join(filter(None, words))


def untracked(function):
    """A parameter that makes nothing again when it changes: products know their options.

    Snakemake tracks parameters, but for those that it takes as made from the output's path.
    """
    return lambda wildcards, output: function(wildcards)


def stage_flags(stage):
    """The flags of a stage that works shard by shard."""
    options = config[stage] | {"max_failed_fraction": config["max_failed_fraction"]}
    return untracked(lambda wildcards: flags(options))


def prepare_flags(wildcards):
    """The flags that describe one data set."""
    common = {key: config[key] for key in ("max_failed_fraction", "seed", "shard_size")}
    return flags(config["datasets"][wildcards.dataset] | common)


def remake(*products):
    """Have Snakemake make products again that do not fit the configuration, and say why.

    Args:
        products: path of each product, and what differs; empty if it fits.
    """
    for path, difference in products:
        if difference:
            tracked = RerunTrigger.PARAMS in workflow.rerun_triggers
            if tracked:
                workflow.dag.forcefiles.add(path)
            consequence = "made again" if tracked else "kept (--rerun-triggers)"
            logger.info(f"{path}: {difference}; {consequence}")
    return []


def outdated(products):
    """An input function that adds no files, but has outdated products made again.

    Only where a run is planned: a job on another machine has been told to make its outputs.

    Args:
        products: function of the wildcards; see `remake`.
    """

    def no_files(wildcards):
        try:
            return remake(*products(wildcards)) if workflow.is_main_process else []
        except (InputError, WorkflowError, OSError) as error:
            # not raised: Snakemake would keep what exists, as if no rule made it, and not say so
            logger.error(str(error))
            sys.exit(1)

    return no_files


def outdated_manifest(wildcards):
    """The manifest of a data set, and why it is outdated."""
    path = f"{RESULTS}/{wildcards.dataset}/manifest.parquet"
    return [(path, OUTDATED.manifest(Path(path), wildcards.dataset))]


def outdated_shard(stage):
    """An input function for a stage that works shard by shard; see `outdated`."""

    def shard(wildcards):
        name = f"{wildcards.shard}{SUFFIX[stage]}"
        path = f"{RESULTS}/{wildcards.dataset}/{stage}/{name}"
        return [(path, OUTDATED.shard(Path(path), stage))]

    return outdated(shard)


def outdated_checkpoints(*splits):
    """An input function for the checkpoints of these splits, by default of the job's."""

    def checkpoints(wildcards):
        folder = f"{RESULTS}/train/{wildcards.dataset}.{wildcards.variant}"
        for split in splits or [wildcards.split]:
            difference = OUTDATED.checkpoint(Path(folder) / split, split)
            yield f"{folder}/{split}/card.json", difference

    return outdated(checkpoints)


def outdated_tables(wildcards):
    """The tables of results of a benchmark job, and why they are outdated."""
    kind, number = split_kind(wildcards), benchmark_number(wildcards)
    test = test_set(wildcards)
    for method in methods(wildcards.train, test):
        path = f"{RESULTS}/benchmark/{wildcards.train}.{test}.{method}.parquet"
        yield path, OUTDATED.table(Path(path), wildcards.train, method, kind, number)


def outdated_report(wildcards):
    """The report, and why it is outdated."""
    path = f"{RESULTS}/report/index.html"
    return [(path, OUTDATED.report(Path(path), table_names()))]


def outdated_examples(wildcards):
    """The examples of the teach stage, and why they are outdated."""
    path = f"{RESULTS}/teach/data.json"
    return [(path, OUTDATED.examples(Path(path)))]


def outdated_finetuned(wildcards):
    """The model that the teach stage trained, and why it is outdated."""
    path = f"{RESULTS}/teach/finetuned/teach.json"
    return [(path, OUTDATED.finetuned(Path(path)))]


def outdated_plan(wildcards):
    """The plan of a scoring run, and why it is outdated."""
    path = f"{RESULTS}/{wildcards.run}/plan/plan.json"
    return [(path, OUTDATED.plan(Path(path), wildcards.run))]


def outdated_scores(wildcards):
    """The table of scores of a shard, and why it is outdated."""
    path = f"{RESULTS}/{wildcards.run}/score/{wildcards.shard}.parquet"
    return [(path, OUTDATED.scores(Path(path), wildcards.run))]


def run_summaries(wildcards):
    """What sums up each run of the section `score`."""
    runs = config["score"]["runs"]
    if not runs:
        raise WorkflowError(
            "score.runs: must name pictures to score, found nothing; add one, such as"
            " runs: {mine: {paths: [photos]}}"
        )
    return [f"{RESULTS}/{run}/score/summary.json" for run in sorted(runs)]


def run_tables(wildcards):
    """The tables of scores of a run, once its pictures are listed."""
    plan = checkpoints.score_plan.get(run=wildcards.run).output.plan
    try:
        count = picture_lists.read(Path(plan).parents[1]).shards
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return [
        f"{RESULTS}/{wildcards.run}/score/{shard}.parquet"
        for shard in shard_names(count)
    ]


def run_paths(wildcards):
    """The pictures of a run, of which none looks like an option."""
    paths = config["score"]["runs"][wildcards.run]["paths"]
    return [f"./{path}" if path.startswith("-") else path for path in paths]


def plan_flags(wildcards):
    """The flags of the job that lists the pictures of a run."""
    return flags({"shard_size": config["score"]["shard_size"]})


def score_flags(wildcards):
    """The flags of a job that scores a shard."""
    section = config["score"]
    options = {
        name: section[name]
        for name in [*ScoreOptions.model_fields, "workers", "max_failed_fraction"]
    }
    options["checkpoint"] = section["runs"][wildcards.run]["checkpoint"]
    return flags(options)


def memory(megabytes):
    """Memory that doubles with every attempt."""
    return lambda wildcards, attempt: megabytes * 2 ** (attempt - 1)


def minutes(number):
    """Run time that doubles with every attempt."""
    return lambda wildcards, attempt: number * 2 ** (attempt - 1)


def processes(number):
    """The command that starts a program in so many processes, which changes speed only."""
    many = f"python -m torch.distributed.run --standalone --nproc-per-node {number}"
    return untracked(lambda wildcards: many if number > 1 else "python")


def pristine_regions(wildcards):
    """The regions of the photographs that examples are made of."""
    return [
        f"{RESULTS}/{dataset}/segment/{shard}.h5"
        for dataset in config["teach"]["datasets"]
        for shard in shards(dataset)
    ]


def examples_flags(wildcards):
    """The flags of the job that makes examples."""
    options = {
        "max_failed_fraction": config["max_failed_fraction"],
        "seed": config["seed"],
        "source": [f"{RESULTS}/{name}" for name in config["teach"]["datasets"]],
    }
    return flags(config["teach"]["data"] | options)


def captioner_options(wildcards):
    """The options of a model that is tested, with a server of its own."""
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
    return config["caption"] | changes


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
    """What a train job on all images waits for, where its model is tested on other data sets."""
    on_all_images = wildcards.get("split", "").startswith("all")
    return ancient(OVERLAP) if on_all_images and BENCHMARK.tests_across else []


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
    """The flags of a train job for these splits, by default for its own."""
    options = config["train"] | {
        "seed": config["seed"],
        "test_fraction": config["benchmark"]["test_fraction"],
    }
    if FINETUNE:
        options["weights"] = config["extract"]["weights"]
    return untracked(
        lambda wildcards: flags(options | {"split": splits or [wildcards.split]})
    )


def methods(train, test):
    """The methods that are tested on a pair of data sets."""
    return METHODS if train == test else CROSS_METHODS


def shards(dataset):
    """The names of a data set's shards, known before its images are opened.

    A job on another machine, which only needs to find its own rule, takes those of the manifest.
    """
    known = None
    if not workflow.is_main_process:
        known = manifest_shards(Path(RESULTS) / dataset)
    return known or OUTDATED.shards(dataset)


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


def table_names():
    """The names of the tables of results that the report shows."""
    return [Path(path).stem for path in all_tables()]


def all_tables():
    """All tables of results that the report shows."""
    pairs = [
        (train, test)
        for train in DATASETS
        for test in DATASETS
        if train == test or BENCHMARK.tests_across
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
        names = [Path(table).name.removesuffix(".parquet") for table in made]
        options = flags(config["report"] | {"table": names})
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
