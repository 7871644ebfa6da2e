# Needs make and Python 3.11 or newer with venv. PYTHON=/path/to/python chooses another one.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
WORKERS ?= 2

.PHONY: up test lint format types imports check clean
.SILENT:

up: $(VENV)/.installed
	exec $(BIN)/hsejobs up

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: lint types imports

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

types: $(VENV)/.installed-dev
	$(BIN)/mypy --no-error-summary

imports: $(VENV)/.installed-dev
	out=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$out"; exit 1; }

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	test -n "$(PYTHON)" || { echo "hsejobs needs Python 3.11 or newer; set PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "hsejobs needs Python 3.11 or newer; $(PYTHON) is not" >&2; exit 1; }
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module (on Debian: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

# A new pyproject.toml or constraints.txt installs again; a moved or broken .venv is made anew.
$(VENV)/.installed: pyproject.toml constraints.txt | venv-works
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | venv-works
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/.installed

.PHONY: venv-works
venv-works:
	test -e $(VENV)/.python && $(BIN)/python -c 'import sys; sys.exit(sys.prefix != sys.argv[1])' "$$(cd $(VENV) && pwd -P)" 2>/dev/null || { rm -rf $(VENV); $(MAKE) --no-print-directory $(VENV)/.python; }
