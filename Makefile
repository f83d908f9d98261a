# make demo   ERM against mixup on real data, with pictures, in minutes
# make test   everything that CI checks
# make data   what the larger data sets need
# make site   the documentation, into site/
# Each sets up .venv by itself, once; needs only Python (3.11 or newer) and make.

PYTHON ?= python3
BIN := .venv/bin
DEMO ?= runs/demo
# Two worker processes suit two cores; compiling is most of the time.
WORKERS ?= 2
# Add `bench` for PyTorch, which the tests of the networks compare with.
EXTRAS ?= test,data
comma := ,
TEST_STAMP := .venv/$(subst $(comma),-,$(EXTRAS)).stamp

# Where it is set, every start of Python compiles each module anew: seconds each time.
unexport PYTHONDONTWRITEBYTECODE

ifneq ($(shell command -v uv 2>/dev/null),)
  VENV := uv venv --quiet --python $(PYTHON) .venv
  INSTALL := VIRTUAL_ENV=.venv uv pip install --quiet -c constraints.txt
else
  VENV := $(PYTHON) -m venv .venv
  INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt
endif

.PRECIOUS: .venv/%.stamp
.PHONY: demo data site test check format clean

demo: .venv/demo.stamp
	$(BIN)/python -m experiments.demo --workdir=$(DEMO)

# TensorFlow, which prepares Fashion-MNIST and CIFAR.
data: .venv/data.stamp

# From mkdocs.yml, docs/ and the docstrings.
site: .venv/docs.stamp
	$(BIN)/zensical build --clean --strict
	@echo "Open site/index.html"

test: $(TEST_STAMP) check
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations=15

check: $(TEST_STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyrefly check

format: $(TEST_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv runs site build dist *.egg-info

.venv/bin/python:
	$(VENV)

# demo.stamp stands for the extra `demo`, test-data.stamp for `test,data`; one is out
# of date when the packages asked for have changed.
.venv/%.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e '.[$(subst -,$(comma),$*)]'
	@touch $@
