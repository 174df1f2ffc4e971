# Two commands on a fresh machine: `make demo` and `make test`. Needs Python 3.11 or later, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench bench-servers samples lock clean

demo: $(READY)  ## run the sample study through a FHIR server and back
	$(BIN)/fhir-ivig demo

test: $(READY)  ## run all tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: $(READY)  ## check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)  ## measure (slow; nothing else should run meanwhile)
	$(BIN)/python -m bench

bench-servers: $(READY)  ## measure push and pull against a bare client on real servers (slow; nothing else should run)
	$(BIN)/python -m bench.servers

samples: $(READY)  ## write the FHIR files of the sample study anew from its tables
	$(BIN)/python -m sample_bundles
	$(BIN)/python -m sample_bundles.synthetic
	$(BIN)/python -m sample_bundles.sources
	$(BIN)/python -m sample_bundles.redcap

lock: $(READY)  ## resolve the dependencies anew
	$(BIN)/pip install pip-tools
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-header \
		--extra excel --extra models --extra pdf --extra sandbox --extra sas --extra smart --extra dev --output-file requirements.lock pyproject.toml

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fhir-ivig needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf $(VENV)
