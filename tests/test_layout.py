"""The layers of the package: a module imports from its own room and from lower ones only."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rsfiqa"
STAGES = frozenset(
    [
        "prepare",
        "segment",
        "caption",
        "embed",
        "extract",
        "train",
        "benchmark",
        "report",
        "score",
        "group",
        "cull",
        "teach",
    ]
)
# from low to high; rooms on one line do not import each other, except the modules of the first
LAYERS = (
    {
        *("errors", "registry", "vocabulary", "scale", "metrics", "splits", "options"),
        *("label_runs", "region_layout", "architecture", "cost_map"),
    },
    {"io"},
    {"products"},
    {"images", "runtime"},
    {"backbones"},
    {"datasets", "segmenters", "captioners", "encoders", "model"},
    {"checkpoints", "samples", "command", "help_text"},
    STAGES,
    {"cli", "adapters", "workflow"},
    {"__main__"},
)
PUBLIC = frozenset(
    ("rsfiqa.Scorer", "rsfiqa.create_metric", "rsfiqa.__version__")
)  # of the package itself
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path != PACKAGE / "__init__.py"  # imports the scorer when it is first used
)


def room_of(module: str) -> str:
    """The room of a module of the package: `rsfiqa.io.atomic` is in `io`."""
    return module.split(".")[1]


def is_options(module: str) -> bool:
    """Whether a module is the declaration of a stage's options, which any module may import."""
    return module.split(".")[1:] == [room_of(module), "options"] and room_of(module) in STAGES


def imports_of(module: str) -> Iterator[str]:
    """All modules and names that a module imports, at any depth, in their full form."""
    path = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(module: str) -> Iterator[str]:
    """What a module imports from the package, without the options of stages."""
    for name in imports_of(module):
        own = name.startswith("rsfiqa.") and name not in PUBLIC
        if own and not is_options(".".join(name.split(".")[:3])):
            yield name


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_its_own_room_and_lower_ones(module):
    room = room_of(module)
    allowed = {other for other, rank in RANK.items() if rank < RANK[room]} | {room}
    if RANK[room] == 0:
        allowed |= LAYERS[0]
    assert [name for name in own_imports(module) if room_of(name) not in allowed] == []


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) in STAGES])
def test_a_stage_imports_no_other_stage(module):
    rooms = {room_of(name) for name in own_imports(module)}
    assert rooms & STAGES <= {room_of(module)}


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) in STAGES])
def test_only_a_subcommand_hands_the_scorer_to_a_stage(module):
    assert module.endswith(".command") or "rsfiqa.Scorer" not in imports_of(module)


@pytest.mark.parametrize("module", [name for name in MODULES if is_options(name)])
def test_options_are_declarations(module):
    foreign = {name.split(".")[0] for name in imports_of(module)}
    assert foreign <= {"collections", "dataclasses", "pydantic", "rsfiqa", "typing"}


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) == "model"])
def test_the_model_reads_and_writes_nothing(module):
    assert {room_of(name) for name in own_imports(module)}.isdisjoint({"io", "products"})


@pytest.mark.parametrize("module", MODULES)
def test_the_package_knows_nothing_of_snakemake(module):
    roots = {name.split(".")[0] for name in imports_of(module)}
    assert "snakemake" not in roots
    assert room_of(module) == "workflow" or "workflow" not in map(room_of, own_imports(module))


def test_every_room_has_a_layer():
    assert {room_of(module) for module in MODULES} == set(RANK)


def test_helpers_of_tests_hide_no_module_of_the_standard_library():
    """Some of them are run as scripts, whose folder comes first in the path."""
    names = {path.stem for path in Path(__file__).with_name("support").glob("*.py")}
    assert names & sys.stdlib_module_names == set()
