import os
import sys

# Answers what Snakemake asks of conda. An environment is a folder whose python notes that it was
# called; it says nothing of whether conda can solve the environment file.
CONDA = """#!/bin/bash
case "$*" in
  --version) echo "conda 25.1.0" ;;
  "info --json") echo '{{"conda_prefix": "{root}", "platform": "linux-64"}}' ;;
  *channel_priority*) echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  *create*)
    while [ "$1" != --prefix ]; do shift; done
    mkdir -p "$2/bin" "$2/conda-meta"
    printf '#!/bin/bash\\necho "$3" >> %s/calls\\nexec {python} "$@"\\n' "$2" > "$2/bin/python"
    chmod +x "$2/bin/python" ;;
esac
"""
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


def test_a_rule_runs_in_its_own_environment(workflow, monkeypatch):
    binaries = workflow.folder / "conda/bin"
    binaries.mkdir(parents=True)
    conda = binaries / "conda"
    conda.write_text(CONDA.format(root=binaries.parent, python=sys.executable), "utf-8")
    conda.chmod(0o755)
    (binaries / "activate").write_text(ACTIVATE, "utf-8")
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
    found = workflow.snakemake("--use-conda", "--until", "segment")
    assert found.returncode == 0, found.stdout
    (calls,) = workflow.folder.glob(".snakemake/conda/*/calls")
    assert sorted(calls.read_text("utf-8").split()) == ["prepare", "segment", "segment"]
