# `make demo` and `make test` need nothing but Python 3.11 to 3.13 and PyPI.
PYTHON ?= python3
BIN = .venv/bin
SOURCES = setup.cfg pyproject.toml $(shell find scanner training templates -type f -not -name '*.pyc')

.PHONY: demo test faults lint lint-script clean

demo: .venv/installed
	$(BIN)/python examples/make_studies.py
	@# Exit code 3 says that some files failed; the example has one on purpose.
	$(BIN)/cxr-scan examples/studies --output examples/studies-cxr --fresh || [ $$? -eq 3 ]
	@echo "Open: examples/studies-cxr/report/index.html"

test: .venv/installed
	$(BIN)/pytest

# Every fault, really injected, and the table of what came of it; more: make faults SCALE=5
SCALE ?= 1
faults: .venv/installed
	$(BIN)/pytest tests/faults --faults-scale $(SCALE)

lint: .venv/installed lint-script
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The report's script: needs node and npm. Nothing of node_modules is ever shipped.
lint-script: node_modules/.package-lock.json
	node_modules/.bin/eslint templates/app
	node_modules/.bin/tsc

node_modules/.package-lock.json: package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	touch $@

# As a user installs it, not editable: what is missing from the package fails here.
.venv/installed: $(SOURCES)
	[ -d .venv ] || $(PYTHON) -m venv .venv
	rm -rf build
	$(BIN)/pip install --quiet --disable-pip-version-check '.[test]'
	rm -rf build
	touch $@

clean:
	rm -rf .venv node_modules build *.egg-info examples/studies examples/studies-cxr
