# kgrec: `make demo` shows it, `make test` proves it. Both install into ./.venv first.
PYTHON ?= python3
SERVE ?= 1
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test lint format bench wheel clean help

help: ## List these targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(VENV)/.demo ## Build the graph from a real catalogue, train, recommend, explain, serve
	@SERVE=$(SERVE) PORT=$(PORT) sh examples/movies/demo.sh

test: $(VENV)/.dev ## Run the tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --no-loadscope-reorder $(TESTS)

lint: $(VENV)/.dev ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench ## Measure kgrec and its peers side by side; `make bench DATA=folder` names the data
	$(BIN)/python examples/benchmarks/run.py $(DATA)

wheel: $(VENV)/.dev ## Build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## Remove the environment and the local graph
	-$(BIN)/kgrec graph stop
	rm -rf $(VENV) .kgrec dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "kgrec needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing kgrec into $(VENV) ..."
	@$(PIP) --editable '.[local]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing kgrec and its tests into $(VENV) ..."
	@$(PIP) --editable '.[local,dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.dev pyproject.toml constraints.txt
	@$(PIP) --editable '.[local,dev,bench]'
	@touch $@
