# Everything a contributor does. Each target sets up what it needs: a fresh clone needs Python 3.11 or newer and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := build/demo
WHEEL := build/wheel
LOWEST := build/lowest
# The ten slowest tests are shown, all are kept.
durations = --durations 10 --keep-durations build/durations-$(1).txt

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test fast frameworks check lint types wheel lowest format golden coverage bench mutants zoo crosscheck identity soak clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# torchvision has no build without CUDA among its requirements; the tests need only its networks' definitions.
$(READY): pyproject.toml constraints.txt cnnspec/version.py
	@echo "setting up $(VENV) (some minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq -c constraints.txt -e '.[torch,keras,jax,dev]'
	$(BIN)/python -m pip install -qq -c constraints.txt --no-deps torchvision
	@touch $@

demo: $(READY) ## check LeNet-5 and ResNet-18, compile them to PyTorch and Keras, verify that both agree
	$(BIN)/cnnspec check lenet5
	$(BIN)/cnnspec check resnet18
	@mkdir -p $(DEMO)
	$(BIN)/cnnspec compile lenet5 --backend torch -o $(DEMO)/lenet5_torch.py
	$(BIN)/cnnspec compile lenet5 --backend keras -o $(DEMO)/lenet5_keras.py
	$(BIN)/cnnspec compile resnet18 --backend torch -o $(DEMO)/resnet18_torch.py
	$(BIN)/cnnspec compile resnet18 --backend keras -o $(DEMO)/resnet18_keras.py
	$(BIN)/cnnspec verify lenet5
	$(BIN)/cnnspec verify resnet18

test: fast frameworks ## all tests

fast: $(READY) ## the tests that need no framework
	$(BIN)/pytest tests/fast -n 2 --dist worksteal $(call durations,fast)

# tests/frameworks/conftest.py says what stays in one process.
frameworks: $(READY) ## the tests that run generated code in PyTorch and Keras
	$(BIN)/pytest tests/frameworks -n 2 --dist loadscope $(call durations,frameworks)

check: lint types fast wheel ## everything but the framework tests

lint: $(READY) ## ruff, on the project and on the generated code in tests/golden
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --isolated tests/golden
	$(BIN)/ruff format --isolated --check tests/golden

types: $(READY) ## mypy --strict
	$(BIN)/mypy

# Installed away from the repository and without a framework, as by a user who only checks specs.
wheel: $(READY) ## build the wheel, look at its contents, install it in a fresh environment and try it there
	@rm -rf $(WHEEL)
	$(BIN)/hatchling build --target wheel --directory $(WHEEL)
	$(BIN)/check-wheel-contents $(WHEEL)
	$(BIN)/python -m venv $(WHEEL)/venv
	$(WHEEL)/venv/bin/python -m pip install -qq -c constraints.txt $(WHEEL)/*.whl pytest hypothesis
	$(WHEEL)/venv/bin/pytest tests/wheel tests/fast/test_zoo_counts.py

# tests/fast/test_cli.py itself needs click 8.2.
lowest: wheel ## the same with the lowest version of everything that pyproject.toml allows, on Python 3.11
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install -qq $(WHEEL)/*.whl pytest hypothesis $$($(BIN)/python -c \
	  "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'])" | sed 's/>=/==/g')
	$(LOWEST)/bin/pytest tests/wheel tests/fast/test_zoo_counts.py

format: $(READY) ## put the project into ruff's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: $(READY) ## rewrite the expected outputs; review the difference
	$(BIN)/pytest tests/fast --update-golden

coverage: $(READY) ## both suites, with the lines they do not reach; fails below the bound in pyproject.toml
	$(BIN)/coverage erase
	$(BIN)/pytest tests/fast --cov --cov-report= --cov-fail-under=0
	$(BIN)/pytest tests/frameworks -n 2 --dist loadscope --cov --cov-append

bench: $(READY) ## what a check costs, beside other tools and by the size of the network; generated code beside torchvision's
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python -W ignore benchmarks/speed.py

mutants: $(READY) ## what `verify` says of code with one change of meaning; rewrites the table in docs/verification.md
	$(BIN)/python benchmarks/mutants.py

zoo: $(READY) ## every network against its original in torchvision or keras.applications; rewrites the tables in docs/zoo.md
	$(BIN)/python benchmarks/zoo.py

crosscheck: $(READY) ## every network of the zoo on every target, for hours; goes on where it was; rewrites the table in docs/verification.md
	$(BIN)/python benchmarks/crosscheck.py

# What takes too long for every change: before a release, and after a change of an emitter or of the definition.
# A line of JSON for each block; what is in `problems` is another function than the spec's block.
identity: $(READY) ## every block of the zoo with other arguments and sizes: is the generated definition the block?
	cd tests && for target in torch keras-tensorflow; do ../$(BIN)/python -W ignore -m support.identity $$target 7 100000; \
	    ../$(BIN)/python -W ignore -m support.identity $$target 7 2000 $$(seq -f random:%.0f 0 999); done

soak: $(READY) ## the tests that `make test` leaves out, 10,000 random networks, then the zoo on every target anew: a night
	$(BIN)/pytest tests/frameworks -m soak -n 2 --dist loadscope $(call durations,soak)
	$(BIN)/cnnspec fuzz --count 10000 --targets torch,keras-tensorflow --save build/soak
	$(BIN)/python benchmarks/crosscheck.py --again

clean: ## remove what was built, the environment included
	rm -rf build dist $(VENV) .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
