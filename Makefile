# Every target sets up what it needs on a fresh Debian or Ubuntu with Python 3.11+ and make.
# PYTHON=/path/to/python3 chooses the interpreter of .venv.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Material for MkDocs prints a page about its future with every build unless this is set.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
SEEDS ?= 100:140
# Tests run in as many processes as there are cores; each takes about a gigabyte of memory.
PARALLEL ?= -n auto --maxprocesses=8 --dist=worksteal
export PYTHON

# On a person's desktop the demo is theirs to use; anywhere else it drives itself.
ifeq ($(CI)$(shell uname -s),Linux)
DRIVE := $(if $(DISPLAY)$(WAYLAND_DISPLAY),,yes)
else
DRIVE := $(if $(CI),yes,)
endif

.PHONY: help setup demo test test-versions long stress lint check pytest docs clean

help:
	@echo "make demo    open napari on a real image with the dock (without a display: drive it, screenshots in demo/)"
	@echo "make test    everything that must be green: lint, types, contracts, manifest, documents, unit and GUI tests"
	@echo "make test-versions  tests of the window with the oldest, the newest and the coming napari, PyQt6 and PySide6"
	@echo "make long    what takes many minutes: every order of events, where make test tries some"
	@echo "make stress  a person who does anything for long: SEEDS=FIRST:LAST says which"
	@echo "make lint    the quick part of it: ruff and mypy"
	@echo "make docs    build the documentation into site/"
	@echo "make setup   create .venv and install everything into it"
	@echo "make clean   remove what was built; .venv stays"

setup: $(READY)

$(READY): pyproject.toml scripts/setup.sh
	@scripts/setup.sh
	@touch $@

demo: $(READY)
ifeq ($(DRIVE),yes)
	scripts/on-screen.sh $(BIN)/python scripts/demo.py --drive
else
	$(BIN)/python scripts/demo.py
endif

test: check pytest

test-versions: $(READY)
	$(BIN)/python scripts/versions.py $(TESTS)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

check: lint
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari-sam-live
	$(MKDOCS) --quiet --site-dir build/site

pytest: $(READY)
	scripts/on-screen.sh $(BIN)/python -m pytest $(PARALLEL) --session-timeout=4800

long: $(READY)
	scripts/on-screen.sh $(BIN)/python -m pytest --long -m long

stress: $(READY)
	$(BIN)/python -m pytest --long -m long tests/session/test_random_actions.py --seeds=$(SEEDS)

docs: $(READY)
	$(MKDOCS)

clean:
	rm -rf demo site dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
