# Everything runs in .venv, which each target creates or updates.
# Tiny models are fastest on one thread: on a busy machine, threads wait for each other.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
LAYERS := 8
# Test files start in the order of tests/conftest.py; by number of tests, the longest would start
# last. A test that crashes or takes ten minutes ends its worker and the run, which names it.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 \
	-o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true

.PHONY: help demo test lint style types docs bench conformance science gpu gpu-site gpu-wheels papers constraints clean

help:
	@echo "make demo                  every step on the shipped sample papers"
	@echo "make demo PAPERS=folder    the same on your own papers"
	@echo "make test                  style and the test suite"
	@echo "make lint                  style, imports, dead code and types"
	@echo "make docs                  the documentation site, in build/site"
	@echo "make bench                 slow tests and measurements (LAYERS=32: merges at 8b size, 40 GB)"
	@echo "make conformance           tests of huggingface_hub, datasets and transformers, on our hub and models"
	@echo "make science               a model that reads stresses from plates, trained from random weights (40 minutes)"
	@echo "make gpu                   everything that only a GPU can show, in 30 minutes (MINUTES=30, TINY=1: rehearsal)"
	@echo "make gpu-wheels HAVE=file  the wheels that a GPU machine without a network lacks"
	@echo "make papers                rebuild examples/papers"
	@echo "make constraints           update constraints.txt (needs uv)"
	@echo "make clean                 remove runs/"

# The stamp depends on what is installed, so nothing is installed twice.
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

test: $(VENV)/installed style
	@echo "Running the tests ..."
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" $(PARALLEL)

lint: style types

style: $(VENV)/installed
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/vulture

docs: $(VENV)/installed
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

# Not part of `test`: it analyzes all of torch and transformers, which takes a minute or more.
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

# On a machine without a network there is no .venv: what its Python lacks comes from wheels/.
GPU_PYTHON := $(if $(wildcard $(VENV)/installed),$(BIN)/python,$(PYTHON))
MINUTES := 30
GPU_WHEELS := $(if $(wildcard $(VENV)/installed),,$(sort $(wildcard wheels/*.whl)))
# Relative paths would not hold in the folders that steps run in.
gpu: $(if $(GPU_WHEELS),gpu-site)
	@PYTHONPATH="$(CURDIR)/src$(if $(GPU_WHEELS),:$(CURDIR)/runs/gpu-site)" $(GPU_PYTHON) -m benchmarks.gpu \
		--minutes $(MINUTES) $(if $(TINY),--tiny --out runs/gpu-tiny,--out runs/gpu)

# Installed again if the names of the wheels, which have their versions, are others.
gpu-site:
	@test "$$(cat runs/gpu-site/wheels 2>/dev/null)" = "$(GPU_WHEELS)" || { \
		rm -rf runs/gpu-site runs/gpu-site.new && \
		$(GPU_PYTHON) -m pip install --quiet --no-index --no-deps --no-compile \
			--target runs/gpu-site.new $(GPU_WHEELS) && \
		echo "$(GPU_WHEELS)" > runs/gpu-site.new/wheels && mv runs/gpu-site.new runs/gpu-site; }

gpu-wheels: $(VENV)/installed
	@test -n "$(HAVE)" || { echo "make gpu-wheels HAVE=file: the output there of pip list --format freeze"; exit 1; }
	@$(BIN)/python -m benchmarks.gpu.wheels --have "$(HAVE)" --out wheels

papers: $(VENV)/installed
	$(BIN)/python examples/make_papers.py

# Pinned versions are kept unless setup.cfg excludes them; remove a line to update one.
# torch names the exact CUDA packages that it needs, and the CPU build needs none.
constraints:
	printf 'pip\nsetuptools\nwheel\n' | uv pip compile setup.cfg - --universal --python-version 3.11 \
		--extra dev --extra quantize --constraint constraints.txt --no-annotate --no-header --quiet \
		--output-file constraints.new
	(grep '^#' constraints.txt; grep -vE '^(nvidia-|cuda-|triton)' constraints.new) > constraints.sorted
	mv constraints.sorted constraints.txt && rm constraints.new

clean:
	rm -rf runs
