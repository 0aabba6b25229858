# What can be run is listed by `make help`. PYTHON=python3.12 chooses the interpreter.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

ENV := source ./env.sh &&

PIPELINE ?= factory
DEMO_factory := mastra run factory_inspection --duration 60 --fault down@25s..35s \
  --report demo/report.json --pictures demo/pictures
DEMO_traffic := mastra run traffic --duration 60 --report demo/report.json \
  --set traffic.log_path=demo/events.jsonl
DEMO_ultrasound := mastra run medical_ultrasound --fault down@3s..6s --report demo/ultrasound.json

.PHONY: help setup demo test check lint format types bars bench hostile docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv and build; quick when nothing has changed
	@scripts/setup.sh

demo: setup ## a minute of factory inspection, the link cut for 10 s; PIPELINE=ultrasound a sweep
	@$(ENV) $(or $(DEMO_$(PIPELINE)),$(error PIPELINE: expected factory, traffic or ultrasound))

test: setup ## colcon test, with the result per test file and a total
	@scripts/test.sh

check: format_check lint types test ## format, lint, strict types and tests

.PHONY: format_check
format_check: setup
	@$(ENV) ruff format --check .

lint: setup ## ruff
	@$(ENV) ruff check .

types: setup ## mypy --strict
	@$(ENV) mypy

format: setup ## lay out the code and mend what ruff can
	@$(ENV) ruff check --fix-only . && ruff format .

bars: setup ## which bars the published results do not hold; status 1 if any
	@$(ENV) python -m bench.bars

bench: setup ## measure: age of results, frames per second, set-up, build and test; ultrasound
	@$(ENV) python -m bench.pipeline --build && python -m bench.ultrasound

hostile: setup ## what an attacker brings, with the latency beside it: 40 minutes
	@$(ENV) python -m bench.hostile

docs: setup ## bring the table of parameters and the measured numbers up to date
	@$(ENV) mastra params --markdown > docs/parameters.md && python -m bench.table && \
	  python -m bench.models_table && python -m bench.policies_table && \
	  python -m bench.privacy_table && python -m bench.compression_table && \
	  python -m bench.traffic_signals_table && python -m bench.traffic_table && \
	  python -m bench.gateway_table && python -m bench.records_table && python -m bench.ultrasound_table && \
	  python -m bench.dashboard_table

clean: ## remove what was built; .venv stays (rm -rf .venv for that)
	@rm -rf build install log
