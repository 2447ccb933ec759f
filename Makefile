# Huitou: the two commands that matter are `make run` and `make test`.

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PYTEST_ARGS ?= -n 4 --dist loadfile --no-loadscope-reorder
BENCH_ARGS ?=

# Compiling four hundred files anew in every process costs each start a second: kept, whatever the shell around us says.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test lint types imports pytest bench torture fmt clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(VENV)/run.stamp $(VENV)/dev.stamp ## Create .venv with everything that running and testing need

run: $(VENV)/run.stamp ## Start everything on embedded servers with the demo shop; Ctrl-C stops it
	@exec $(PY) -m bot up

test: setup lint imports ## Lint, types, import contracts, tests
	@$(MAKE) --no-print-directory types & types=$$!; $(MAKE) --no-print-directory pytest; tests=$$?; \
	wait $$types || { echo "The types are wrong: make types says where"; exit 1; }; exit $$tests

lint: $(VENV)/dev.stamp
	@$(VENV)/bin/ruff check .

types: $(VENV)/dev.stamp
	@$(VENV)/bin/mypy

imports: $(VENV)/dev.stamp
	@$(VENV)/bin/lint-imports --no-cache

pytest: $(VENV)/dev.stamp
	@sh tests/ensure_chromium.sh
	@$(PY) -m pytest $(PYTEST_ARGS)

bench: setup $(VENV)-bench/stamp ## Measure ours against floors and peers; prints ratios, writes var/bench.json
	@$(PY) -m bench $(BENCH_ARGS)

TORTURE := $(PY) -m pytest -q -s -p no:randomly --timeout 7200
PROPERTIES := $(addprefix tests/,$(addprefix unit/,channels roles money/test_quick.py understanding/test_any_text.py) \
	web/test_api_signature.py web/test_event_batches.py web/test_express.py)
torture: setup ## An hour and a half of kills and random histories; HUITOU_EXAMPLES sets how many of each
	@HUITOU_TORTURE=1 $(TORTURE) tests/e2e/test_kills.py tests/e2e/test_payout_kills.py tests/e2e/test_journey_torture.py
	@HUITOU_EXAMPLES=$${HUITOU_EXAMPLES:-4400} $(TORTURE) tests/integration/money/test_machine.py
	@HUITOU_EXAMPLES=$${HUITOU_EXAMPLES:-3000} $(TORTURE) tests/integration/money/test_properties.py
	@HUITOU_EXAMPLES=$${HUITOU_EXAMPLES:-1000} $(TORTURE) tests/integration/people
	@HUITOU_EXAMPLES=$${HUITOU_EXAMPLES:-5000} $(TORTURE) $(PROPERTIES)

fmt: $(VENV)/dev.stamp ## Sort imports and mend what can be mended
	@$(VENV)/bin/ruff check --fix .

clean: ## Remove caches; .venv and var stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or run: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "This Python could not make a virtual environment; the reason is above (on Debian and Ubuntu often: apt-get install python3-venv)"; exit 1; }

$(VENV)/run.stamp: requirements.txt | $(VENV)/bin/python
	@echo "installing what running needs (about a minute) …"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp | $(VENV)/bin/python
	@echo "installing what testing needs …"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)-bench/stamp: requirements-bench.txt
	@echo "installing what ours is measured against …"
	@$(PY) -m venv $(VENV)-bench
	@$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@npm ci --silent --prefix bench/peers/satori || echo "without node's npm the peer satori is not measured"
	@touch $@
