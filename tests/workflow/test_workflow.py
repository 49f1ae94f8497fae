import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise

import pytest
import yaml

from tests.support.workflow import ROOT, Workflow

SHARDED = dict.fromkeys(("segment", "caption", "embed", "extract"), 2)  # in their order
DOWNSTREAM = {"train_batch": 2, "benchmark": 1, "report": 1, "all": 1}


def spans(workflow):
    """Start and end of every GPU job, by stage."""
    found = {}
    for stage in SHARDED:
        folder = workflow.results / f"tiny/{stage}"
        stats = [json.loads(path.read_text("utf-8")) for path in folder.rglob("*stats.json")]
        found[stage] = sorted((item["started"], item["ended"]) for item in stats)
    return found


def test_the_whole_plan_is_known_before_anything_has_run(workflow):
    assert workflow.planned() == {"prepare": 1, **SHARDED, **DOWNSTREAM}


def test_until_plans_a_stage_and_what_it_needs(workflow):
    assert workflow.planned("--until", "segment") == {"prepare": 1, "segment": 2}


def test_an_official_split_is_trained_on_once_per_seed(tmp_path):
    datasets = {"datasets": ["tiny"], "official": ["tiny"], "seeds": 3, "variants": ["full"]}
    workflow = Workflow(tmp_path, benchmark=datasets)
    table = tmp_path / "pictures/scores.csv"
    header, *rows = table.read_text("utf-8").splitlines()
    rows = [f"{row},{'test' if row.endswith('g0') else 'train'}" for row in rows]
    table.write_text("\n".join([f"{header},subset", *rows]), "utf-8")
    assert workflow.planned()["train"] == 3
    plan = workflow.snakemake("--dry-run", "--printshellcmds").stdout
    assert (
        "--number=3 --official --seed=0 --test-fraction=0.2 --variant=full --variant=probe" in plan
    )
    assert "--split=official-02" in plan


@pytest.mark.slow
def test_splits_are_trained_in_one_process_or_each_in_its_own(tmp_path):
    options = {"datasets": ["tiny"], "splits": 3, "variants": ["full"]}
    together = Workflow(tmp_path / "together", benchmark={**options, "batch_splits": True})
    assert together.planned()["train_batch"] == 1
    plan = together.snakemake("--dry-run", "--printshellcmds").stdout
    assert "--split=split-00 --split=split-01 --split=split-02 " in plan
    apart = Workflow(tmp_path / "apart", benchmark={**options, "batch_splits": False})
    assert apart.planned()["train"] == 3
    plan = apart.snakemake("--dry-run", "--printshellcmds").stdout
    assert all(plan.count(f"--split=split-{i:02d}") == 1 for i in range(3))


def test_every_pair_of_data_sets_is_one_benchmark_job(tmp_path):
    workflow = Workflow(tmp_path)
    config = yaml.safe_load(workflow.config.read_text("utf-8"))
    config["datasets"]["other"] = config["datasets"]["tiny"]
    config["benchmark"] |= {"datasets": ["tiny", "other"], "seeds": 2}
    workflow.config.write_text(yaml.safe_dump(config), "utf-8")
    planned = workflow.planned()
    assert {name: planned[name] for name in ("train", "train_batch")} == {
        "train": 4,  # on all of each data set, two seeds
        "train_batch": 4,
    }
    assert (planned["benchmark"], planned["benchmark_cross"]) == (2, 2)
    plan = workflow.snakemake("--dry-run", "--printshellcmds").stdout
    within = "--train tiny --test tiny --number=2 .*--variant=full --variant=no_rsa --variant=probe"
    assert re.search(within, plan)
    assert re.search("--train tiny --test other --number=2 .*--variant=full --variant=probe", plan)


def test_a_cluster_job_finds_its_rule_by_wildcards(tmp_path):
    """Snakemake starts the job on the node by the name of its rule and the wildcards."""
    workflow = Workflow(tmp_path)
    config = yaml.safe_load(workflow.config.read_text("utf-8"))
    config["datasets"]["other"] = config["datasets"]["tiny"]
    config["benchmark"] |= {"datasets": ["tiny", "other"]}
    workflow.config.write_text(yaml.safe_dump(config), "utf-8")
    for job in ("benchmark:train=tiny", "benchmark_cross:train=tiny,test=other"):
        assert workflow.planned("--target-jobs", job)[job.split(":")[0]] == 1


def test_fine_tuning_has_a_process_on_each_gpu(tmp_path):
    options = {"finetune": {"enabled": True, "threads": 2, "workers": 1}}
    workflow = Workflow(tmp_path / "tuned", train=options, gpus={"train": 3})
    shown = workflow.snakemake("--dry-run", "--printshellcmds", "--cores", "64").stdout
    assert shown.count("--nproc-per-node 3 -m rsfiqa train results/tiny") == 2
    workflow = Workflow(
        tmp_path / "frozen", gpus={"train": 3}
    )  # on frozen features, which take none
    assert "nproc" not in workflow.snakemake("--dry-run", "--printshellcmds").stdout


def test_teaching_is_a_target_of_its_own(tmp_path):
    (tmp_path / "model").mkdir()
    for name in ("processor_config.json", "chat_template.jinja"):
        (tmp_path / "model" / name).touch()
    teach = {"datasets": ["tiny"], "train": {"model": str(tmp_path / "model")}}
    workflow = Workflow(tmp_path / "run", teach=teach, gpus={"teach": 2})
    planned = workflow.planned("teach")
    assert planned == {"prepare": 1, "segment": 2} | {
        "teach": 1, "teach_data": 1, "teach_train": 1, "teach_rule_based": 1, "teach_test": 2
    }  # fmt: skip
    shown = workflow.snakemake("teach", "--dry-run").stdout
    assert (
        "--nproc-per-node 2 -m rsfiqa teach train results/teach --output results/teach/finetuned"
        in shown
    )
    assert "--name finetuned --attempts=3 --backend=vllm" in shown
    assert "--server.weights=results/teach/finetuned/model" in shown


def test_teaching_needs_a_model(workflow):
    found = workflow.snakemake("teach", "--dry-run")
    assert found.returncode != 0
    assert "teach.train.model: must be given, found nothing; name a model's folder" in found.stdout


def test_lint_finds_nothing(workflow):
    found = workflow.snakemake("--lint")
    assert found.returncode == 0, found.stdout
    assert "Congratulations" in found.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sead": 1}, "config: unknown key sead, found 1; remove or correct it"),
        ({"shard_size": "many"}, "shard_size: input should be a valid integer, found 'many'"),
        ({"seed": -1}, "config: seed: input should be greater than or equal to 0, found -1"),
        (
            {"datasets": {"tiny": {"layout": "livec", "root": "/nowhere"}}},
            "config: datasets.tiny.root must exist, found /nowhere; correct the path",
        ),
        (
            {"benchmark": {"datasets": ["tiny"], "official": ["tiny"]}},
            "tiny: an official split needs images whose subset is test, and others, found 0 of 24;",
        ),
        (
            {"benchmark": {"datasets": ["tiny", "tiny"]}},
            "benchmark.datasets must name each once, found 'tiny' 2 times; remove one",
        ),
    ],
)
def test_a_wrong_config_fails_before_the_first_job(tmp_path, changes, message):
    workflow = Workflow(tmp_path, **changes)
    found = workflow.snakemake()
    assert found.returncode != 0
    assert message in found.stdout
    assert "Traceback" not in found.stdout
    assert not workflow.results.exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,mos\n00.png,3,5\n", "scores.csv line 2: a row must have no more cells"),
        ("path,mos,mos\n00.png,3,5\n", "scores.csv: headings must differ, found 'mos' 2 times"),
        ("path,mos\n00.png,6\n", "scores.csv line 2: MOS must lie in [1, 5], found 6 for"),
        ("path,mos\n00.png,2\n./00.png,3\n", "scores.csv line 3: image ids must differ"),
    ],
)
def test_a_wrong_table_fails_before_the_first_job(workflow, table, message):
    (workflow.folder / "pictures/scores.csv").write_text(table, "utf-8")
    found = workflow.snakemake()
    assert found.returncode != 0
    assert message in found.stdout
    assert "Traceback" not in found.stdout
    assert not workflow.results.exists()


def test_a_range_far_wider_than_the_scores_is_warned_of_on_the_terminal(tmp_path):
    workflow = Workflow(tmp_path)
    content = yaml.safe_load(workflow.config.read_text("utf-8"))
    content["datasets"]["tiny"]["mos_range"] = [0, 100]
    workflow.config.write_text(yaml.safe_dump(content), "utf-8")
    shown = workflow.snakemake("--until", "prepare").stdout
    assert shown.count("MOS should cover mos_range [0, 100], found 1.17 to 5, 4% of it") == 1


def test_every_product_log_and_benchmark_is_there(finished):
    made = {str(path.relative_to(finished.results)) for path in finished.results.rglob("*")}
    for shard in ("00000", "00001"):
        for name in ("segment/{}.h5", "caption/{}.parquet", "embed/{}.safetensors"):
            product = f"tiny/{name.format(shard)}"
            assert product in made
            assert re.sub(r"\.\w+$", ".failures.parquet", product) in made
            assert re.sub(r"\.\w+$", ".stats.json", product) in made
        assert (finished.results / f"logs/segment/tiny/{shard}.log").is_file()
        assert (finished.results / f"logs/segment/tiny/{shard}.tsv").is_file()
    assert {"benchmark/tiny.tiny.full.parquet", "report/index.html"} <= made
    assert not [name for name in made if "partial" in name]


def test_an_unchanged_second_run_does_nothing(finished):
    assert "Nothing to be done" in finished.snakemake().stdout


def test_gpu_jobs_run_in_turn_and_stage_by_stage(finished):
    by_stage = spans(finished)
    jobs = sorted(span for found in by_stage.values() for span in found)
    assert len(jobs) == 2 * 4
    assert all(before[1] <= after[0] for before, after in pairwise(jobs))
    for stage, following in pairwise(SHARDED):
        assert by_stage[stage][-1][1] <= by_stage[following][0][0]


def test_rerunning_a_stage_touches_it_and_what_follows(finished):
    planned = finished.planned("--forcerun", "caption")
    assert planned == {"caption": 2, "embed": 2, **DOWNSTREAM}


def test_a_changed_option_reruns_its_stage_and_what_follows(finished, tmp_path):
    changed = yaml.safe_load(finished.config.read_text("utf-8")) | {"extract": {"grid": 4}}
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump(changed), "utf-8")
    planned = finished.planned("--configfile", str(tmp_path / "changed.yaml"))
    assert planned == {"extract": 2, **DOWNSTREAM}


def test_a_rule_is_a_command_that_can_be_copied(finished):
    shown = finished.snakemake("--dry-run", "--forcerun", "segment", "--printshellcmds").stdout
    commands = re.findall(r": python -m rsfiqa (\w+) .* > results/logs/\1/\S+ 2>&1", shown)
    assert set(commands) == {"segment", "caption", "embed", "train", "benchmark", "report"}
    assert "exec python" not in shown


def test_a_command_is_the_jobs_process_but_closes_no_shell(workflow):
    """The whole line that Snakemake runs stands in the message of a failed job."""
    for path in (workflow.folder / "pictures").glob("*.png"):
        path.unlink()
    shown = workflow.snakemake().stdout
    command = re.search(r"Command '(.*)' returned non-zero exit status 1", shown)[1]
    prefix = command[: command.index("python -m rsfiqa prepare")]
    line = ["bash", "-c", f"{prefix} python -c 'import os; print(os.getpid())'"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as job:
        assert int(job.stdout.read()) == job.pid
    line = ["bash", "-i", "-c", f"cd '{workflow.folder}'; {command}; echo status $?"]
    pasted = subprocess.run(line, capture_output=True, text=True, check=False)
    assert pasted.stdout == "status 1\n"


def test_names_that_the_shell_or_python_would_take_for_something_else(tmp_path, monkeypatch):
    """Of the checkout, of the results and of packages that other folders hold."""
    other = tmp_path / "other"
    workflow = Workflow(tmp_path / "it's {here} $now")
    for package in (other / "rsfiqa", other / "workflow", workflow.folder / "PIL"):
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise SystemExit('not this one')", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(other))
    content = yaml.safe_load(workflow.config.read_text("utf-8"))
    content["results"] = './my "res" isn\'t $HOME [a]*(b)+/'
    workflow.config.write_text(yaml.safe_dump(content), "utf-8")
    checkout = a_checkout(tmp_path / "checkout isn't $HOME")
    run = workflow.snakemake("-s", str(checkout / "Snakefile"), "--until", "segment")
    assert run.returncode == 0, run.stdout
    made = workflow.folder / 'my "res" isn\'t $HOME [a]*(b)+/tiny/segment'
    assert {path.name for path in made.glob("*.h5")} == {"00000.h5", "00001.h5"}


def test_a_checkout_with_braces_in_its_path_is_refused(workflow, tmp_path):
    checkout = a_checkout(tmp_path / "check{out}")
    run = workflow.snakemake("-s", str(checkout / "Snakefile"), "--dry-run")
    assert run.returncode != 0
    assert f"{checkout}: the folder of the workflow must be without braces" in run.stdout
    assert "Traceback" not in run.stdout


def a_checkout(folder):
    """The workflow and the package under another path."""
    folder.mkdir()
    for name in ("Snakefile", "config.yaml", "workflow", "rsfiqa", "envs", "profiles"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def with_a_copy(workflow):
    """Add a data set of the same pictures."""
    config = yaml.safe_load(workflow.config.read_text("utf-8"))
    config["datasets"]["other"] = config["datasets"]["tiny"]
    config["benchmark"]["datasets"] = ["tiny", "other"]
    workflow.config.write_text(yaml.safe_dump(config), "utf-8")


def test_training_across_data_sets_waits_for_the_check_of_shared_images(workflow):
    with_a_copy(workflow)
    planned = workflow.planned("--until", "train")
    assert (planned["overlap"], planned["prepare"]) == (1, 2)


@pytest.mark.parametrize("copied", [False, True])
def test_training_for_scoring_alone_needs_no_check_of_shared_images(workflow, copied):
    if copied:
        with_a_copy(workflow)
        workflow.change(benchmark={"cross": False})
    planned = workflow.planned("results/train/tiny.full/all-00/card.json")
    assert "overlap" not in planned
    assert (planned["prepare"], planned["train"]) == (1, 1)


def test_shared_images_are_found_early_and_what_is_there_is_reported(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder)
    workflow = Workflow(tmp_path / "new")
    workflow.folder, workflow.results = folder, folder / "results"
    workflow.config.write_text(finished.config.read_text("utf-8"), "utf-8")
    with_a_copy(workflow)
    (workflow.results / "report/index.html").unlink()
    run = workflow.snakemake("results/benchmark/overlap.json")
    assert run.returncode != 0
    message = (
        "rsfiqa overlap: other: must share no image with tiny, found the bytes of 00.png in 00.png"
        " and 23 more; leave one of them out, or set benchmark.cross false"
    )
    assert message in run.stdout
    assert "Traceback" not in run.stdout
    assert "tiny → tiny" in run.stdout
    assert "tiny" in (workflow.results / "report/index.html").read_text("utf-8")


def test_snakemakes_own_report(finished, tmp_path):
    found = finished.snakemake("--report", str(tmp_path / "report.html"))
    assert found.returncode == 0, found.stdout
    page = (tmp_path / "report.html").read_text("utf-8")
    assert len(page) > 100_000
    for caption in ("Images of tiny are cut into regions", "opinion scores of tiny: medians over"):
        assert caption in " ".join(page.replace("\\n", " ").split()), caption
    assert "tables, plots and pictures" in page


def test_every_rule_names_its_environment():
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        rules = re.findall(r"^rule (?!teach:)\w+:", path.read_text("utf-8"), re.MULTILINE)
        environments = re.findall(r'"\.\./\.\./envs/(\w+\.yaml)"', path.read_text("utf-8"))
        own_server = ["vllm.yaml"] if path.name == "caption.smk" else []
        assert len(rules + own_server) == len(environments)
        assert all((ROOT / "envs" / name).is_file() for name in environments)


def test_the_package_runs_without_snakemake():
    stages = ", ".join(
        f"rsfiqa.{stage}" for stage in (*SHARDED, "prepare", "train", "benchmark", "report")
    )
    code = f"import sys; sys.modules['snakemake'] = None; import rsfiqa.cli, {stages}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
