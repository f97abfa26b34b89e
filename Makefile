# Each target does its own set-up. PYTHON names the interpreter to make the environment with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: run test check bench fuzz clean
.DELETE_ON_ERROR:

run: $(VENV)/.run
	$(BIN)/python -m gateway demo

test: $(VENV)/.test client_js/node_modules/.ready
	cd client_js && CERTLESS_PYTHON="$(CURDIR)/$(BIN)/python" npm test --silent
	$(PYTEST) --cov --cov-report=term:skip-covered

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.bench
	$(BIN)/python -m bench.run

fuzz: $(VENV)/.test
	FUZZ=50 $(PYTEST) tests/test_properties.py tests/test_hardened_properties.py --timeout=0

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Certless needs Python 3.11 or later: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.test: $(VENV)/bin/python setup.cfg pyproject.toml
	@node --version >/dev/null || { echo "The tests speak with Node.js 18 or later: install it"; exit 1; }
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

client_js/node_modules/.ready: client_js/package-lock.json
	cd client_js && npm ci --silent --no-audit --no-fund
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@command -v wrk >/dev/null || { apt-get update -qq && apt-get install -y -qq wrk; }
	$(BIN)/python -m pip install --quiet --editable '.[test,bench]'
	@touch $@
