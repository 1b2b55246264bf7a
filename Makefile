# Two commands do everything from a bare clone with Python 3.11: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: install demo test check bench clean
install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	# This very version first: it is the one tested, and where a CPU build of it lies ready pip takes that.
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[matte,dev]'
	touch $@

# The tests want the light stage too; where its extra is not installed they leave it out and say so.
.venv/lightstage: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[lightstage]'
	touch $@

demo: install
	$(BIN)/python demo/demo.py

test: .venv/lightstage
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check harmovid tests demo benchmarks
	$(BIN)/mypy

bench: install
	$(BIN)/python -m benchmarks.straight_path

clean:
	rm -rf .venv .cache demo/out build *.egg-info
