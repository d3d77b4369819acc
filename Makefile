# Everything runs in .venv, which each target makes or brings up to date by itself.
# Tiny models are quickest on one thread; two wait for each other where other work runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
LAYERS := 8
# Files begin in the order of tests/conftest.py, not by their number of tests, which puts the longest
# last. A test that crashes or takes ten minutes ends its worker, and the run, by name.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 \
	-o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true

.PHONY: help demo test lint types docs bench conformance science papers constraints clean

help:
	@echo "make demo                  the whole way on the shipped sample papers"
	@echo "make demo PAPERS=folder    the same on your own papers"
	@echo "make test                  lint and the test suite"
	@echo "make types                 the type checker"
	@echo "make docs                  the documentation site, in build/site"
	@echo "make bench                 slow tests and measurements (LAYERS=32: merges at 8b size, 40 GB)"
	@echo "make conformance           tests of huggingface_hub, datasets and transformers, on our hub and models"
	@echo "make science               a model that reads stresses off plates, from nothing (40 minutes)"
	@echo "make papers                build examples/papers again"
	@echo "make constraints           resolve constraints.txt again (needs uv)"
	@echo "make clean                 remove runs/"

# The stamp changes only with what is installed, so nothing is installed twice.
$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Cephalo needs Python 3.11 or newer; run: make PYTHON=python3.11 ..."; exit 1; }
	@echo "Setting up $(VENV) (a few minutes, once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt pip setuptools wheel
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/installed
	@OMP_NUM_THREADS=1 $(BIN)/python examples/demo.py $(if $(PAPERS),"$(PAPERS)")

test: $(VENV)/installed lint
	@echo "Running the tests ..."
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" $(PARALLEL)

lint: $(VENV)/installed
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/vulture

docs: $(VENV)/installed
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

# Apart from `test`: it reads all of torch and transformers, which takes minutes where others work.
types: $(VENV)/installed
	@$(BIN)/basedpyright

bench: $(VENV)/installed
	$(BIN)/python -m pytest -m slow
	$(BIN)/python -m benchmarks.bench_phi3_v
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.bench_train --repeats 1
	$(BIN)/python -m benchmarks.bench_refine
	$(if $(wildcard ../shared/bench),$(BIN)/python -m benchmarks.bench_extract ../shared/bench)
	$(if $(wildcard ../shared/bench),$(BIN)/python -m benchmarks.panels.score ../shared/bench)
	$(if $(wildcard ../shared/bench/refine),$(BIN)/python -m benchmarks.refine_checks ../shared/bench/refine/answers.jsonl ../shared/bench/real/pdf)
	$(BIN)/python -m benchmarks.mutation
	$(BIN)/python -m benchmarks.bench_merge --out runs/bench-merge --layers $(LAYERS)
	rm -rf runs/bench-merge

conformance: $(VENV)/installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.conformance

science: $(VENV)/installed
	$(BIN)/python examples/science.py

papers: $(VENV)/installed
	$(BIN)/python examples/make_papers.py

# Versions that are listed already stay, unless setup.cfg excludes them; remove a line to raise one.
# torch names the exact CUDA packages that it needs, and the CPU build needs none.
constraints:
	printf 'pip\nsetuptools\nwheel\n' | uv pip compile setup.cfg - --universal --python-version 3.11 \
		--extra dev --extra quantize --constraint constraints.txt --no-annotate --no-header --quiet \
		--output-file constraints.new
	(grep '^#' constraints.txt; grep -vE '^(nvidia-|cuda-|triton)' constraints.new) > constraints.sorted
	mv constraints.sorted constraints.txt && rm constraints.new

clean:
	rm -rf runs
