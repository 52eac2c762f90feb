# Each target is complete on a fresh machine with Python 3.11, gcc and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
NATIVE := CMakeLists.txt pyproject.toml $(shell find native -type f)

.PHONY: demo test lint bench docs figures sanitize clean

demo: .venv/tour
	$(BIN)/rectified tour --out build/tour

test: .venv/dev lint
	$(BIN)/python -m pytest -q -n auto --dist worksteal

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(shell find native -name '*.?pp')

bench: .venv/dev
	$(BIN)/rectified bench

figures: .venv/dev
	$(BIN)/rectified bench --quick --json --overhead --sizes 10_000,1_000_000 > docs/benchmark/in_cache.json
	$(BIN)/rectified bench --quick --json --sizes 30_000_000 --peers numpy,torch,onnxruntime \
	  relu leaky_relu elu softplus gelu silu mish sigmoid tanh maxout > docs/benchmark/in_memory.json
	$(BIN)/python tools/figures.py

sanitize: .venv/dev
	tools/sanitize.sh address,undefined tests -n auto --hypothesis-profile=campaign --ignore=tests/test_tour.py
	tools/sanitize.sh thread tests/test_threads.py

docs: .venv/dev
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# The library with one set of extras, built again when its native part changes: without isolation, so that only what has changed is.
.venv/%: constraints.txt $(NATIVE)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) cmake ninja numpy scikit-build-core
	$(PIP) --no-build-isolation -e '.[$*]'
	touch $@

clean:
	rm -rf build docs/_build docs/functions .venv
