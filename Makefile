# Every target makes .venv by itself when it is missing or older than what it was made from.

TASK ?= pronunciation
INSTALLED := .venv/installed

.PHONY: help demo test slow check lint docs notebooks clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(INSTALLED): pyproject.toml constraints.txt scripts/install
	@scripts/install

demo: $(INSTALLED)  ## train a small model and try it: make demo, make demo TASK=translation
	@.venv/bin/python examples/demo.py --task $(TASK)

test: $(INSTALLED)  ## run the fast tests
	@scripts/test

slow: $(INSTALLED)  ## run the tests that take minutes
	@scripts/test -m slow --timeout 1800

check: $(INSTALLED)  ## lint, types, layers, sizes
	@scripts/check

lint: $(INSTALLED)  ## mend formatting and simple lint
	@scripts/lint

docs: $(INSTALLED)  ## check the links of the documentation and build it
	@scripts/docs

notebooks: $(INSTALLED)  ## turn the chapters of docs/learn/ into Jupyter notebooks
	@scripts/docs notebooks

clean:  ## remove .venv and everything built
	rm -rf .venv build dist site notebooks .mypy_cache .pytest_cache .ruff_cache .hypothesis
