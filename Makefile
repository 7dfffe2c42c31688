# Set up once, then test, check and show. TORCH=... picks another build of torch (a GPU user's own, say) and goes to pip
# as it stands: TORCH="torch --index-url URL"; a range needs quotes for the shell: TORCH="'torch>=2.9'".
PYTHON ?= python3.11
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: install test test-fast torture fuzz quality style demo train-nano ablations-nano retrain-systems clean
all: test

# everything that tests, pictures and training data need; then: source .venv/bin/activate
install: $(VENV)/.ready
	@echo "installed; now: source $(VENV)/bin/activate"

# what the demo needs: the package and its pictures
$(VENV)/.demo-ready: setup.cfg pyproject.toml constraints.txt
	@echo "python environment in $(VENV): torch first (a CPU build, so that no CUDA packages come along) ..."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check $(TORCH)
	@echo "the package and what it needs ..."
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[viz]"
	touch $@

$(VENV)/.ready: $(VENV)/.demo-ready
	@echo "what tests and checks need ..."
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev,eval,viz,vrs,onnx,devices,space]"
	touch $@

# what training needs besides
$(VENV)/.train-ready: $(VENV)/.ready
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[train]"
	touch $@

# a simulated person, or with DATA=DIR a window of the real datasets in DIR; writes demo.png
demo: $(VENV)/.demo-ready
	@echo "a person is simulated and encoded; the first call takes half a minute ..."
	$(BIN)/anymo demo $(if $(DATA),--data "$(DATA)")

# every stage; ARGS are options of training/train_nano.py: make train-nano ARGS="--minutes 20 --motion DIR"
train-nano: $(VENV)/.train-ready
	$(BIN)/python training/train_nano.py --output runs/nano --release anymo $(ARGS)

# the full model and every ablation of the paper, judged on the real datasets in DATA; writes results/ablations.json.
# ARGS are options of training/ablations.py: make ablations-nano DATA=DIR ARGS="--only full no_contrast"
ablations-nano: $(VENV)/.train-ready
	$(BIN)/python training/ablations.py --output runs/ablations $(if $(DATA),--data "$(DATA)") $(ARGS)

# other methods' objectives on the corpus of OUTPUT, one after the other, about an hour on one free core; each goes on after
# a stop. With DATA they are then scored: make retrain-systems OUTPUT=runs/nano DATA=windows ARGS="--max-windows 500"
SYSTEMS = unimts_objective imu2clip_objective imagebind_objective comodo_objective imugpt_objective anymo_objective
retrain-systems: $(VENV)/.train-ready
	for name in $(SYSTEMS); do \
	  $(BIN)/python training/pretrain_system.py --config training/configs/systems/$$name.yaml \
	    --output $(or $(OUTPUT),runs/nano) || exit 1; \
	  $(if $(DATA),$(BIN)/anymo evaluate recognition --data "$(DATA)" --system $$name \
	    --source $(or $(OUTPUT),runs/nano)/$$name/model $(ARGS) || exit 1;) \
	done

# all tests in WORKERS processes; then those that a change needs at every save: no killed runs, no whole trainings and
# builders, no released weights. Bytecode is kept, so that not every process rewrites the assertions anew; and no plugin
# but xdist is loaded, for pytest rewrites those, too
WORKERS ?= 2
PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(BIN)/python -m pytest -q -p xdist \
	-n $(WORKERS) --dist loadfile --no-loadscope-reorder
test: install
	$(PYTEST) tests

test-fast: install
	$(PYTEST) -m "not slow" tests

# faults at random moments against every command that leaves results, so many minutes on two cores; a stopped campaign goes
# on in runs/torture, and results/torture.json and docs/faults.md tell of it
TORTURE_MINUTES ?= 60
torture: install
	PYTHONPATH=tests $(BIN)/python -m torture --minutes $(TORTURE_MINUTES) --output runs/torture \
		--results results/torture.json --page docs/faults.md

# spoiled files against every reader, for FUZZ_MINUTES; goes on where it stopped: results/fuzz.json, docs/broken_files.md
FUZZ_MINUTES ?= 30
fuzz: install
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m fuzz.campaign --minutes $(FUZZ_MINUTES) $(ARGS)

quality: $(VENV)/.ready
	$(BIN)/ruff format --check src tests training benchmarks dataset_scripts examples
	$(BIN)/ruff check src tests training benchmarks dataset_scripts examples
	$(BIN)/mypy src/anymo_hf/modeling
	$(BIN)/python -m pytest -q tests/test_pins.py

style: $(VENV)/.ready
	$(BIN)/ruff format src tests training benchmarks dataset_scripts examples
	$(BIN)/ruff check --fix src tests training benchmarks dataset_scripts examples

clean:
	rm -rf $(VENV) build .pytest_cache .ruff_cache .mypy_cache src/*.egg-info
