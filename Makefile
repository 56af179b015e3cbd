# The one list of commands, for people, hooks and CI. `make` alone prints it.

CONF   ?= conf/demo.toml
ARGS   ?=
PYTEST ?=
# Processes that run tests side by side, a file at a time: one more than cores, for some wait for servers.
WORKERS ?= 3
# uv where it is on PATH (seconds), else pip (about a minute); `make env UV=` asks for pip.
UV     ?= $(shell command -v uv 2>/dev/null)

VENV := .venv
BIN  := $(VENV)/bin
ENV  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help env run ui demo up down backup restore test long-test browser-test compose-test soak chaos check audit lock docs bench model-check build release-check clean
.DELETE_ON_ERROR:

help:            ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  CONF=$(CONF) is the configuration of run, ui and demo; ARGS='--set panel.horizon=14' changes single settings."

env: $(ENV)      ## build .venv from requirements.lock (again only when that changes)

$(ENV): requirements.lock
	@UV="$(UV)" PYTHON="$(PYTHON)" sh .ci/env $(VENV)
	@touch $@

run: $(ENV)      ## one night through a real Airflow, from raw sales to forecast tables
	@$(BIN)/python -m forecasting.launcher run --conf $(CONF) $(ARGS)

ui: $(ENV)       ## serve Airflow and MLflow over the same stores until Ctrl-C
	@$(BIN)/python -m forecasting.launcher ui --conf $(CONF) $(ARGS)

demo: $(ENV)     ## one night without Airflow: the demo retailer through the command line
	@$(BIN)/python -m forecasting demo --conf $(CONF) $(ARGS)
	@$(BIN)/python -m forecasting run --conf $(CONF) $(ARGS)

up:              ## the whole production shape in containers: secrets, build, start, wait (docs/deployment.md)
	@python3 docker/stack.py up

down:            ## stop the containers; their volumes keep the data
	@python3 docker/stack.py down

# Where make up has written .env, the stores are those of the containers; else those of CONF on this machine.
TO   ?= backups/$(shell date -u +%Y%m%dT%H%M%S)
FROM ?=

backup: $(if $(wildcard .env),,$(ENV)) ## copy all stores to a new folder (TO=...), while nights go on
	@if [ -f .env ]; then python3 docker/stack.py backup "$(TO)"; \
	else $(BIN)/python -m forecasting backup --conf $(CONF) --to "$(TO)" $(ARGS); fi

restore: $(if $(wildcard .env),,$(ENV)) ## put them back from a backup: make restore FROM=... (OVERWRITE=1: over what is there)
	@if [ -f .env ]; then python3 docker/stack.py restore "$(FROM)" $(if $(OVERWRITE),--overwrite); \
	else $(BIN)/python -m forecasting restore --conf $(CONF) --from "$(FROM)" $(if $(OVERWRITE),--overwrite) $(ARGS); fi

test: $(ENV)     ## the tests; PYTEST='tests/panel -k panel' runs some
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST)

long-test: $(ENV) ## the long ones: many nights, tutorials, a whole Airflow by REST; faults and two weeks in their short forms
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests/system/nights tests/system/integration tests/system/chaos tests/system/soak $(PYTEST)

browser-test: $(ENV) ## tests that click through Airflow in a headless Chromium (which must be on PATH)
	@$(BIN)/python -m pytest -rs tests/system/browser $(PYTEST)

compose-test: $(ENV) ## the containers: nights on Celery workers, kills, backup and restore; needs Docker, 20 to 40 minutes
	@$(BIN)/python -m pytest -rs tests/system/compose $(PYTEST)

soak: $(ENV)     ## two months of nights in one go, with all that goes wrong; report in var/soak
	@$(BIN)/python -m tests.system.soak $(ARGS)

chaos: $(ENV)    ## kills, malformed rows, full disks, lost databases; report in var/chaos
	@$(BIN)/python -m tests.system.chaos --kills 50 --rows 10000 --out var/chaos $(ARGS)

check: $(ENV)    ## ruff (lint, format), mypy --strict, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --quiet --check . || { echo 'make check: format with .venv/bin/ruff format .'; exit 1; }
	@$(BIN)/mypy --strict forecasting
	@$(BIN)/lint-imports --no-logo

audit: $(ENV)    ## licences, known weaknesses (where their list can be reached), secrets in files, SBOM in var/sbom.json
	@$(BIN)/python .ci/audit --sbom var/sbom.json

docs: $(ENV)     ## write docs/tables.md from the code
	@$(BIN)/python -m forecasting tables > docs/tables.md

bench: $(ENV)    ## the project against its peers, in an environment of its own
	@$(BIN)/python -m benchmarks $(ARGS)

model-check: $(ENV) ## train on the demo (and shared data), compare with the last release; report in var/model-check
	@$(BIN)/python -m benchmarks.model_check $(ARGS)

build: $(ENV)    ## source archive and wheel of the last commit, into dist/
	@.ci/release --build

release-check: $(ENV) ## the same, tried in a clean environment; nothing is published
	@.ci/release --check

lock:            ## resolve pyproject.toml anew into requirements.lock and the image's part of it (needs uv)
	uv pip compile -q --upgrade pyproject.toml --extra dev --extra cluster --universal --python-version 3.11 \
		--no-annotate --no-header --generate-hashes -o requirements.lock
	uv pip compile -q pyproject.toml --extra cluster --universal --python-version 3.11 \
		--no-annotate --no-header --generate-hashes -c requirements.lock -o docker/requirements.lock

clean:           ## remove .venv, caches and build files; the stores in var/ stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@if [ -d var ]; then echo "var/ holds data and was kept; remove it with: rm -r var"; fi
