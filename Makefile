# `make up` and `make test` need Python 3.11, make and a C library; everything else comes from the hashed lock.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

.PHONY: up test lint types contracts lock
.DEFAULT_GOAL := up

lint: .venv/.ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/.ready
	$(BIN)/mypy

contracts: .venv/.ready
	$(BIN)/lint-imports

test: .venv/.ready
	$(BIN)/pytest

lock:  ## resolve again, hashed and without index addresses
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --extra dev pyproject.toml -o requirements.lock
