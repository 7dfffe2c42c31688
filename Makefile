# Set up once, then test, check and show. TORCH=... picks another build of torch (a GPU user's own, say).
PYTHON ?= python3.11
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: test quality style clean
all: test

# torch first and by itself: a ranged requirement would pull CUDA packages on a CPU machine
$(VENV)/.ready: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev,eval,viz]"
	touch $@

test: $(VENV)/.ready
	$(BIN)/python -m pytest -q tests

quality: $(VENV)/.ready
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/mypy src/anymo_hf/modeling

style: $(VENV)/.ready
	$(BIN)/ruff format src tests
	$(BIN)/ruff check --fix src tests

clean:
	rm -rf $(VENV) build .pytest_cache .ruff_cache .mypy_cache src/*.egg-info
