# Everything that people and CI run. Each target makes its environment, in .venv, with this machine's Python.
#
#   make demo      see a change become audit records: starts the embedded engine and shows the trail
#   make test      everything that has to pass before a change is merged: lint, then pytest
#   make pytest    the tests alone, by several workers (ARGS="-k history" for some, ARGS="-n 0" by one process)
#   make lint      the linters alone; changes nothing
#   make fmt       rewrite the sources in the one format
#   make bench     measure, each against its reference
#   make faults    every function and command under faults: what was injected, checked, lost, doubled
#                  (ARGS="--seed 7" makes the choices of an earlier run again; ARGS="'error 503'" tries one kind)
#   make soak      mixed work with restarts, for a minute (ARGS="--minutes 10"): nothing lost, memory flat
#   make strangers   programs of others (openssl, Go, aics-tlog) check what the ledger writes; fails if one is missing
#   make docs      write the generated pages in docs/
#   make package   one zip per function, in dist/
#   make lint-workflows, lint-sam, lint-checkov, audit   .github by zizmor; templates by SAM, checkov; dependencies by pip-audit
#   make smoke-aws   all of it once in your AWS account, and nothing left behind (ARGS=--yes; docs/verified.md)

PYTHON ?= python3
ARGS ?=
# More workers than a small machine has cores: much of a test's time is waiting for an engine that it started.
WORKERS ?= 3

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
MAKEFLAGS += --no-print-directory
# Images set it, for containers that run once: here tests, and each command that they start, would compile all anew.
unexport PYTHONDONTWRITEBYTECODE
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

.PHONY: help demo test pytest strangers faults soak lint lint-workflows lint-sam lint-checkov audit fmt bench docs package smoke-aws run-environment requirements clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/run.stamp
	@$(BIN)/weaudit demo

# Both at once: the linters use one processor. Whatever fails is said at the end.
test: $(VENV)/dev.stamp
	@$(MAKE) -j 2 lint pytest

pytest: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

# `make pytest` asks those that are there already.
strangers: $(VENV)/dev.stamp $(VENV)/strangers.stamp
	ALL_STRANGERS=1 $(BIN)/python -m pytest -n 0 tests/ledger/test_strangers.py tests/ledger/test_witness_strangers.py $(ARGS)

faults: $(VENV)/dev.stamp
	@$(BIN)/python -m tests.faults $(ARGS)

soak: $(VENV)/dev.stamp
	@$(BIN)/python -m tests.faults.soak $(ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cfn-lint infra/*.yaml
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src scripts deploy_lambda.py

# Tools with pins of their own, in environments of their own.
lint-workflows: $(VENV)/tools.stamp
	$(VENV)/tools/bin/zizmor --offline --no-progress --pedantic .github

# What is left out, and why: .checkov.yaml.
lint-checkov: $(VENV)/checkov.stamp
	$(VENV)/checkov/bin/checkov

lint-sam: $(VENV)/sam.stamp
	SAM_CLI_TELEMETRY=0 $(VENV)/sam/bin/sam validate --lint --region us-east-1 -t infra/template.yaml

audit: $(VENV)/tools.stamp
	for file in run dev build; do $(VENV)/tools/bin/pip-audit --disable-pip --require-hashes -r requirements/$$file.txt || exit; done

fmt: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(VENV)/bench.stamp
	$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/dev.stamp
	$(BIN)/python docs/generate.py

package: $(VENV)/run.stamp
	$(BIN)/weaudit package $(ARGS)

smoke-aws: $(VENV)/run.stamp
	$(BIN)/python scripts/smoke_aws.py $(ARGS)

# What `weaudit` needs, and no more: for pipelines.
run-environment: $(VENV)/run.stamp

# The pins, from pyproject.toml. Needs uv; nothing else here does.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
requirements:
	$(COMPILE) --extra local pyproject.toml -o requirements/run.txt
	$(COMPILE) --extra dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt
	$(COMPILE) -c requirements/dev.txt requirements/build.in -o requirements/build.txt
	$(COMPILE) requirements/tools.in -o requirements/tools.txt
	$(COMPILE) requirements/sam.in -o requirements/sam.txt
	$(COMPILE) requirements/checkov.in -o requirements/checkov.txt
	$(subst 3.11,3.12,$(COMPILE)) requirements/strangers.in -o requirements/strangers.txt
	$(COMPILE) --extra bench -c requirements/run.txt -c requirements/dev.txt pyproject.toml -o requirements/bench.txt

clean:
	rm -rf $(VENV) dist build

# ---- The environment -------------------------------------------------------------------------------------------------
# A stamp is written last: what was interrupted is done again. dev holds all of run, so that the two never take turns;
# every change of the pins installs again on top. Of an environment, pip's script is what comes last.

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "WeAudit needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Choose one: make PYTHON=python3.13 …")'
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# pyvips comes as source only. What builds it is installed first, and pip's own isolated build, whose requirements nobody
# checks, is off. For running, nothing is compiled beforehand: Python does that with what is used, a fraction of it.
CHECKED := $(PIP) install --require-hashes --no-build-isolation

$(VENV)/build.stamp: requirements/build.txt | $(BIN)/pip
	@$(CHECKED) --only-binary=:all: -r requirements/build.txt
	@touch $@

$(VENV)/run.stamp: requirements/run.txt pyproject.toml $(VENV)/build.stamp | $(BIN)/pip
	@echo "installing what the command line and the engine need (requirements/run.txt)"
	@$(CHECKED) --no-compile -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt pyproject.toml $(VENV)/build.stamp | $(BIN)/pip
	@echo "installing what tests and linters need (requirements/dev.txt)"
	@$(CHECKED) --no-compile -r requirements/dev.txt
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true # of every package, by all processors; templates are no Python
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/run.stamp

$(VENV)/bench.stamp: requirements/bench.txt $(VENV)/dev.stamp
	@echo "installing what the benchmarks compare with (requirements/bench.txt)"
	@$(CHECKED) -r requirements/bench.txt
	@touch $@

$(VENV)/tools.stamp: requirements/tools.txt | $(BIN)/pip
	@$(BIN)/python -m venv $(VENV)/tools
	@$(VENV)/tools/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --only-binary=:all: -r requirements/tools.txt
	@touch $@

$(VENV)/sam.stamp: requirements/sam.txt | $(BIN)/pip
	@echo "installing SAM (requirements/sam.txt: all of it is there, and pip trips over extras that are pinned)"
	@$(BIN)/python -m venv $(VENV)/sam
	@$(VENV)/sam/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --no-deps -r requirements/sam.txt
	@touch $@

$(VENV)/checkov.stamp: requirements/checkov.txt | $(BIN)/pip
	@echo "installing checkov (requirements/checkov.txt)"
	@$(BIN)/python -m venv $(VENV)/checkov
	@$(VENV)/checkov/bin/python -m pip --disable-pip-version-check -qq install --require-hashes -r requirements/checkov.txt
	@touch $@

# By a Python of its own: these need 3.12.
STRANGERS_PYTHON ?= $(shell for it in $(PYTHON) python3.14 python3.13 python3.12; do \
  $$it -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2> /dev/null && echo $$it && break; done)
$(VENV)/strangers.stamp: requirements/strangers.txt | $(BIN)/pip
	@[ -n "$(STRANGERS_PYTHON)" ] || { echo "aics-tlog needs Python 3.12 or later: install it, or name it by STRANGERS_PYTHON=…"; exit 1; }
	@echo "installing verifiers of others (requirements/strangers.txt)"
	@$(STRANGERS_PYTHON) -m venv $(VENV)/strangers
	@$(VENV)/strangers/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --only-binary=:all: -r requirements/strangers.txt
	@touch $@
