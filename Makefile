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

demo: install
	$(BIN)/python demo/demo.py

test: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check harmovid tests demo benchmarks
	$(BIN)/mypy

bench: install
	$(BIN)/python -m benchmarks.straight_path

clean:
	rm -rf .venv .cache demo/out build *.egg-info
