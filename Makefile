# `make up` and `make test` need Python 3.11 or newer, make and a C library; everything else comes from the hashed lock.
SHELL := /bin/bash
PYTHON ?= python3
# Containers often set it; then each of our many processes would compile its libraries again, which takes seconds.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
DISK_NEEDED_MB := 4000
# Test processes: three on two cores, because much of the time is waiting for services. A file stays in one process.
WORKERS ?= 3
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Every target with a `##` line is phony, and `make help` lists it.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*  \#\# .*/\1/p' $(MAKEFILE_LIST))
.DEFAULT_GOAL := help

help:  ## print these targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "  make %-14s %s\n", $$1, $$2}'

up: .venv/.ready  ## start everything on this machine; Ctrl-C stops it
	@exec $(BIN)/python -m orchestration.local.cli up

test: .venv/.ready  ## all but the slowest tests, in about twelve minutes; tests that need a missing program skip and say so
	@$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not exclusive and not soak"

test-all: .venv/.ready  ## every test that CI runs: all but those of `make soak`
	@$(BIN)/python -m pytest -m "exclusive and not soak"; alone=$$?; \
	$(BIN)/python -m pytest $(PARALLEL) -m "not exclusive and not soak" && exit $$alone

dev: .venv/.ready  ## API, worker and viewer that reload when a file is saved; run `make up` once before
	@exec $(BIN)/python -m orchestration.local.cli dev

check: lint typecheck imports test-fast  ## before each push: lint, types, imports and the fast tests; a minute (the first time two)

format: .venv/.ready  ## format the code and fix what ruff can fix
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: .venv/.ready  ## ruff: rules and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

typecheck: .venv/.ready  ## mypy
	@$(BIN)/mypy

imports: .venv/.ready  ## import-linter: which package may import which
	@$(BIN)/lint-imports

# Plugins and a file whose import takes seconds and that no fast test needs are left out.
FAST := contracts features monitoring orchestration serving
test-fast: .venv/.ready  ## the fast tests: no services, browser or helm
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -p no:locust -p no:schemathesis -p no:faker \
	  --ignore tests/serving/test_fuzzing.py -m "not (medium or slow or exclusive or soak or service)" $(FAST:%=tests/%)

test-chart: .venv/.ready  ## all tests of the Helm chart, with a real helm (fetched where none is on PATH)
	@$(BIN)/python .ci/fetch-helm && $(BIN)/python -m pytest tests/helm

soak: .venv/.ready  ## minutes of faults under load; needs an otherwise idle machine
	@$(BIN)/python -m pytest -m soak

load-test: .venv/.ready  ## a minute of mixed users on a running service (TOUCHLINE_API_URL), then its objectives
	@$(BIN)/locust -f tests/load/locustfile.py --headless --only-summary --users 20 --spawn-rate 10 --run-time 60s \
	  --host $${TOUCHLINE_API_URL:-http://127.0.0.1:8000}

load-test-costly: .venv/.ready  ## ordinary requests beside one costly caller of each kind (TOUCHLINE_API_URL), and a verdict
	@$(BIN)/python -m tests.load.costly_callers

backtest: .venv/.ready  ## forecast quality: every figure with N, standard error and paired differences
	$(BIN)/python -m features.io.backtest_cli $(if $(wildcard ../shared/data/footballdata),--data ../shared/data/footballdata)

arena: .venv/.ready  ## model, references and recipes on frozen sets of matches; ARENA='--challenge FOLDER' adds sets and options
	$(BIN)/python -m features.io.arena_cli $(if $(wildcard ../shared/data/footballdata),--data ../shared/data/footballdata) $(ARENA)

build-images: .venv/.ready  ## build all images and run them hardened; needs root, buildah, podman, runc
	@$(BIN)/python .ci/fetch-helm && .ci/smoke-test-images && $(BIN)/python -m pytest tests/helm/test_chart_played.py

cluster: .venv/.ready  ## install, upgrade, roll under load, break and reinstall on the cluster of KUBECONFIG; IMAGES=registry/prefix
	@$(BIN)/python -m tests.cluster.walk $(if $(IMAGES),--images $(IMAGES)) $(WALK)

lock:  ## add what pyproject.toml asks for to the lock, with hashes; UPGRADE=1 resolves everything anew
	@cp requirements.lock requirements.lock.new
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra dev \
	  $(if $(UPGRADE),--upgrade) -o requirements.lock.new pyproject.toml >/dev/null
	@{ echo '# Made by `make lock` from pyproject.toml; do not edit.'; cat requirements.lock.new; } > requirements.lock
	@rm requirements.lock.new

# Wheels only, so no compiler is ever needed. The installer (uv) is itself installed from the lock, with its hash;
# where it cannot reach a package index that pip is configured for, pip does the whole work, slower. The path of the
# checkout is made relative, since Python reads it in the encoding of the locale: LC_ALL=C has no umlauts.
.venv/.ready: requirements.lock pyproject.toml
	@fail() { echo "touchline: $$1" >&2; exit 1; }; \
	command -v $(PYTHON) >/dev/null || fail "$(PYTHON) is not installed; install Python 3.11 or run with PYTHON=/path/to/python3.11"; \
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || fail "Python 3.11 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1); run with PYTHON=python3.11"; \
	free=$$(df -Pm . | awk 'NR == 2 {print $$4}'); \
	[ "$$free" -ge $(DISK_NEEDED_MB) ] || fail "the disk is full: $$free MB free here, $(DISK_NEEDED_MB) MB needed for the environment"; \
	log=$$(mktemp); \
	echo "Creating the environment in .venv (once, a minute or two) ..."; \
	{ [ -x $(BIN)/python ] || $(PYTHON) -m venv .venv; } >$$log 2>&1 \
	  || fail "no virtual environment could be made (on Debian: apt install python3-venv); $$(tail -n 1 $$log)"; \
	sed -n '/^uv==/,/^[^ ]*==/{/^uv==/p;/^ /p;}' requirements.lock >$$log.uv; \
	pip="$(BIN)/python -m pip --disable-pip-version-check install -q --require-hashes --no-deps --only-binary :all:"; \
	{ $$pip -r $$log.uv && $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes --no-deps --only-binary :all: \
	    -r requirements.lock; } >$$log 2>&1 || $$pip -r requirements.lock >>$$log 2>&1 \
	  || fail "the locked packages could not be installed: $$(grep -iE 'error|no space' $$log | tail -n 1); the whole story is in $$log"; \
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation --offline -e . >$$log 2>&1 \
	  || fail "the project itself could not be installed: $$(tail -n 1 $$log)"; \
	for path in .venv/lib/python3*/site-packages/_editable_impl_touchline.pth; do echo ../../../.. >$$path; done; \
	rm -f $$log $$log.uv; touch $@
