"""The wiring of --use-conda; make test-conda tries the environments themselves."""

import sys

from tests.support import conda

# a folder whose python notes that it was called
CREATE = f"""mkdir -p "$prefix/bin" "$prefix/conda-meta"
    printf '#!/bin/bash\\necho "$3" >> %s/calls\\nexec {sys.executable} "$@"\\n' "$prefix" \\
      > "$prefix/bin/python"
    chmod +x "$prefix/bin/python\""""


def test_a_rule_runs_in_its_own_environment(workflow, monkeypatch):
    conda.install(workflow.folder / "conda", CREATE, monkeypatch)
    found = workflow.snakemake("--use-conda", "--until", "segment")
    assert found.returncode == 0, found.stdout
    (calls,) = workflow.folder.glob(".snakemake/conda/*/calls")
    assert sorted(calls.read_text("utf-8").split()) == ["prepare", "segment", "segment"]
