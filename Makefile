# Everything the project does by hand or in CI. It needs Python >= 3.11 and make, and PyPI for the first run.
# All it makes lies in .venv and .cache, inside the checkout.
# Tools are called as `.venv/bin/python -m tool` with relative paths, so the checkout may lie in a path with spaces.

.DEFAULT_GOAL := help
.PHONY: help run app test check format format-check lint types layers fast-tests tests thorough sanitize api bench bench-quick bench-check clean

# The first interpreter found that is new enough; else python3, which is then told what is wrong with it.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$python; exit; }; \
	done; echo python3)
PY := .venv/bin/python
IN_C := streamflow/channel/_speed streamflow/formats/_rows
PACKAGING := pyproject.toml setup.py $(IN_C:=.c)
ARGS ?=

export TMPDIR := $(CURDIR)/.cache/tmp
# Compiled modules and the asserts that pytest has rewritten are kept, or every run does it again (10 s per process).
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/pycache
export XDG_CACHE_HOME := $(CURDIR)/.cache
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_CACHE_DIR := $(CURDIR)/.cache/pyright
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/.cache/hypothesis
export PYTEST_DEBUG_TEMPROOT := $(CURDIR)/.cache/tmp

help:  ## list these targets
	@echo "usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

run: .venv/.run .cache/tmp  ## run the demo pipeline; options by ARGS="..."
	@$(PY) -m streamflow demo $(ARGS)

app: .venv/.app .cache/tmp  ## open the example app: downloads, uploads, live pages; options by ARGS="--port 8001"
	@$(PY) -m examples.fastapi_app $(ARGS)

test: format-check lint types layers tests  ## all that CI runs: format, lint, types, layers, every test

check: format-check lint types layers fast-tests  ## the same on one loop without slow tests: for before each commit

format: .venv/.dev  ## rewrite the code in the one format, and apply safe lint fixes
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

format-check: .venv/.dev
	@$(PY) -m ruff format --check --quiet . || { echo "Run 'make format'."; exit 1; }

lint: .venv/.dev  ## ruff
	@$(PY) -m ruff check --quiet .

types: .venv/.dev  ## mypy --strict on the package, pyright on its public face
	@$(PY) -m mypy --no-error-summary
	@$(PY) -m pyright

layers: .venv/.dev  ## import-linter: imports go down the staircase only
	@$(PY) -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-logo --cache-dir .cache/import-linter

# Every promise holds with the hot path in C, where a compiler was found, and without it. What is marked slow is left out
# there: processes, servers and terminals, to which it is all the same.
tests: .venv/.dev .cache/tmp
	@$(PY) -m pytest -n 2 $(ARGS)
	@if $(PY) -c 'import sys; from streamflow.channel.storage import speedups; sys.exit(not speedups)'; then \
		echo "The same in pure Python:"; STREAMFLOW_PURE=1 STREAMFLOW_LOOPS=asyncio $(PY) -m pytest -n 2 -m 'not slow' $(ARGS); \
	else echo "There is no C hot path in this installation, so that was in pure Python."; fi

fast-tests: .venv/.dev .cache/tmp
	@STREAMFLOW_LOOPS=asyncio STREAMFLOW_HYPOTHESIS=quick $(PY) -m pytest -n 2 -q -m 'not slow' $(ARGS)

thorough: .venv/.dev .cache/tmp  ## every test, with many random examples for the laws (minutes)
	@STREAMFLOW_HYPOTHESIS=thorough $(PY) -m pytest -n 2 --timeout 600 $(ARGS)

# A copy of the tree with what is in C built so that a wrong access to memory ends the process and says where.
# Leaks are counted in tests/test_speed_counts.py and tests/formats/test_rows.py: the interpreter's own would drown them.
SANITIZED := .cache/sanitized
SANITIZE := -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
SANITIZED_TESTS := tests/test_speed*.py tests/test_storage.py tests/test_channel*.py tests/test_cpython_queue.py tests/engine \
	tests/formats/test_rows.py tests/formats/test_csv*.py tests/formats/test_json_certainty.py tests/formats/test_json_encoder.py

sanitize: .venv/.dev .cache/tmp  ## what is in C under the address and undefined behaviour sanitizers (minutes)
	@asan=$$(gcc -print-file-name=libasan.so 2>/dev/null); \
	case "$$asan" in /*) ;; *) echo "Skipped: there is no gcc with its libasan here."; exit 0;; esac; \
	set -e; rm -rf $(SANITIZED); mkdir -p $(SANITIZED); cp -R pyproject.toml streamflow tests $(SANITIZED); \
	include="$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("include"))')"; \
	suffix="$$($(PY) -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')"; \
	for module in $(IN_C); do \
		rm -f $(SANITIZED)/$$module.*.so; \
		gcc -shared -fPIC -Wall -Wextra -Wno-cast-function-type -Wno-missing-field-initializers $(SANITIZE) \
			-I "$$include" $$module.c -o "$(SANITIZED)/$$module$$suffix"; \
	done; \
	export LD_PRELOAD="$$asan" PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1; \
	python='$(CURDIR)/$(PY)'; cd $(SANITIZED); export PYTHONPATH="$$PWD" STREAMFLOW_LOOPS=asyncio; \
	"$$python" -c 'from streamflow.channel.storage import speedups as s; assert "sanitized" in s.__file__, s'; \
	"$$python" -c 'from streamflow.formats.csv_rows import rows_in_c as r; assert "sanitized" in r.__file__, r'; \
	"$$python" -m pytest -q -n 2 --timeout 300 -m 'not slow' $(SANITIZED_TESTS) $(ARGS); \
	"$$python" -m pytest -q -n 2 --timeout 300 tests/test_speed_processes.py $(ARGS)

api: .venv/.dev  ## write the public names to tests/api.txt and the catalogue to docs/operators.md
	@$(PY) -m tests.api
	@$(PY) -m tests.catalogue

bench: .venv/.bench  ## measure all beside all peers, write it into docs/ (half an hour); some by ARGS="hops cmap"
	@$(PY) -m benchmarks --write $(ARGS)

bench-quick: .venv/.bench  ## the key ratios, in under a minute
	@$(PY) -m benchmarks --quick $(ARGS)

bench-check: .venv/.bench  ## the key ratios beside benchmarks/baseline.json; fails if one has become worse
	@$(PY) -m benchmarks --quick --check $(ARGS)

clean:  ## remove all that make has made
	rm -rf .venv .cache build dist *.egg-info
	rm -f $(IN_C:=.*.so) $(IN_C:=.*.pyd)
	find streamflow tests benchmarks examples docs -name __pycache__ -type d -prune -exec rm -rf {} +

.cache/tmp:
	@mkdir -p .cache/tmp

# A stamp is written last, so that an interrupted installation is done again.

.venv/.run: .venv/.made $(PACKAGING)
	@echo "Installing streamflow into .venv ..."
	@$(PY) -m pip install --quiet --editable '.[cli,objects]'
	@touch $@

.venv/.app: .venv/.made $(PACKAGING)
	@echo "Installing streamflow, FastAPI and uvicorn into .venv ..."
	@$(PY) -m pip install --quiet --editable '.[app]'
	@touch $@

.venv/.dev: .venv/.made $(PACKAGING)
	@echo "Installing streamflow and the tools of its developers into .venv (about a minute) ..."
	@$(PY) -m pip install --quiet --editable '.[dev]'
	@touch .venv/.run $@

.venv/.bench: .venv/.dev
	@echo "Installing the libraries that the benchmarks compare with into .venv ..."
	@$(PY) -m pip install --quiet --editable '.[dev,bench]'
	@{ command -v wrk && command -v hey; } >/dev/null || { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && \
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends wrk hey; } >/dev/null; } || \
		echo "wrk and hey could not be installed (on Debian, as root: apt-get install wrk hey): 'load' is left out."
	@touch $@

.venv/.made: | .cache/tmp
	@command -v '$(PYTHON)' >/dev/null || { \
		echo "No '$(PYTHON)' here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "streamflow needs Python 3.11 or newer; '$(PYTHON)' is $$('$(PYTHON)' -V 2>&1)." >&2; \
		echo "Install a newer one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@'$(PYTHON)' -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "'$(PYTHON)' has no venv module. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@'$(PYTHON)' -m venv .venv
	@touch $@
