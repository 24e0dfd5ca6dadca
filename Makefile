# On a fresh machine with Python 3.11 or later, `make demo` and `make test` do all the
# set-up. Another interpreter: make demo PYTHON=python3.13; another place: VENV=...
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two test workers, each with one XLA thread (NPROC is the variable XLA reads) and one
# BLAS thread: a process a core is faster than XLA's own threads on small arrays.
WORKERS ?= 2
# A file's tests share compiled programs and runs, so they stay in one process.
TESTS := -m pytest -n $(WORKERS) --dist loadfile
ONE_THREAD := NPROC=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Most test programs are compiled once and run for milliseconds, and XLA's older kernel
# emitters compile in half the time of its newer ones; a jaxlib that no longer knows them
# does without. `make test-all` compiles as users do.
QUICK := --xla_cpu_use_fusion_emitters=false
COMPILE_QUICKLY = XLA_FLAGS=$(QUICK) $(BIN)/python -c 'import jax; jax.devices()' \
	2>/dev/null && export XLA_FLAGS=$(QUICK);

.NOTPARALLEL:
.PHONY: demo test test-all experiments lint format types docs dist links bench clean

demo: $(VENV)/.installed-all  ## run the main job and write its report
	$(BIN)/plateaux sweep run experiments/quick.toml --out runs/quick
	$(BIN)/plateaux report runs/quick
	@echo "Open the report: $(CURDIR)/runs/quick/report.html"

test: $(VENV)/.installed-all-test  ## the fast tests and every example of the docs
	@$(COMPILE_QUICKLY) \
	set -x; $(ONE_THREAD) $(BIN)/python $(TESTS) $(ARGS)

test-all: $(VENV)/.installed-all-test  ## the slow tests as well
	$(ONE_THREAD) $(BIN)/python $(TESTS) -m "" $(ARGS)

experiments: $(VENV)/.installed-all  ## all at smoke size, their numbers compared
	@$(COMPILE_QUICKLY) \
	$(BIN)/plateaux experiments check --jobs $(WORKERS) $(ARGS)

lint: $(VENV)/.installed-all-lint  ## style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(VENV)/.installed-all-lint  ## put the style right
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/.installed-all-lint  ## static types
	$(BIN)/pyright plateaux

docs: $(VENV)/.installed-all-docs  ## the documentation, its figures and notebooks; warnings are errors
	@$(COMPILE_QUICKLY) \
	$(ONE_THREAD) $(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html
	@echo "Open the documentation: $(CURDIR)/docs/_build/html/index.html"

dist: $(BIN)/python  ## the wheel, into dist/
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

links: $(VENV)/.installed-all-docs  ## addresses outside, over the network
	$(BIN)/sphinx-build -b linkcheck -q docs docs/_build/links

bench: $(VENV)/.installed-all  ## minutes; peers that are not installed are left out
	$(BIN)/python benchmarks/descent.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/first_result.py
	$(BIN)/python benchmarks/flow.py
	$(BIN)/python benchmarks/smooth_flow.py
	$(BIN)/python benchmarks/curvature.py
	$(BIN)/python benchmarks/gradients.py
	$(BIN)/python benchmarks/stages.py
	$(BIN)/python benchmarks/anls.py
	$(BIN)/python benchmarks/sweeps.py

clean:
	rm -rf $(VENV) docs/_build docs/_gallery dist runs/quick runs/experiments

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("plateaux needs Python 3.11 or later, this is %d.%d: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# .installed-all-test = the extras `all` and `test`; made again when pyproject.toml changes
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	@echo "Installing .[$(subst -,$(comma),$*)] into $(VENV): a minute or two the first time"
	@$(BIN)/python -m pip install --quiet --editable '.[$(subst -,$(comma),$*)]'
	@touch $@

comma := ,
