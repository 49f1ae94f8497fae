import json
import re
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
    assert workflow.planned()["train"] == 3
    plan = workflow.snakemake("--dry-run", "--printshellcmds").stdout
    assert (
        "--number=3 --official --seed=0 --test-fraction=0.2 --variant=full --variant=probe" in plan
    )
    assert "--split=official-02" in plan


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
    ],
)
def test_a_wrong_config_fails_before_the_first_job(tmp_path, changes, message):
    workflow = Workflow(tmp_path, **changes)
    found = workflow.snakemake()
    assert found.returncode != 0
    assert message in found.stdout
    assert "Traceback" not in found.stdout
    assert not workflow.results.exists()


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
    commands = re.findall(r"exec python -m rsfiqa (\w+) .* > results/logs/\1/\S+ 2>&1", shown)
    assert set(commands) == {"segment", "caption", "embed", "train", "benchmark", "report"}


def test_snakemakes_own_report(finished, tmp_path):
    found = finished.snakemake("--report", str(tmp_path / "report.html"))
    assert found.returncode == 0, found.stdout
    assert (tmp_path / "report.html").stat().st_size > 100_000


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
