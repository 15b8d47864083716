# make demo: 3D motion from the shipped model. make test: the tests. make help: everything else.
# Both first make .venv from the two files of constraints; README has the plain commands for those without make.

VENV := .venv
RUN := $(VENV)/bin/python
ONE_THREAD := OMP_NUM_THREADS=1
UV ?= $(shell command -v uv 2>/dev/null)

TALLY := .tmp-reliability.jsonl

.PHONY: help setup demo test test-slow test-clients test-reliability lint format bench clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo     three sentences turned into motion in runs/text, three 3D motions by MAS in runs/demo'
	@echo 'make test     layer rules and tests; make test-slow: the long ones too; make test-clients: Blender, a browser'
	@echo 'make test-reliability   damaged files, full disks, kills: a quarter of an hour'
	@echo 'make lint     style and types; make format: put the style right'
	@echo 'make bench    speed, beside the published way'
	@echo 'make setup    only the environment, .venv; make clean removes it'
	@echo
	@echo 'Set-up uses uv where it is installed, else pip, and takes the CPU build of torch where Linux has no nvidia-smi.'
	@echo '  make setup PYTHON=python3.12   another interpreter'
	@echo '  make setup TORCH=cu130         another build of torch: cpu, auto, cu126, cu130, rocm6.4, ...'
	@echo '  make setup TORCH=pip           the build that pip or uv takes by itself'
	@echo '  make setup UV=                 pip, even where uv is installed'

setup: $(VENV)/.done
	@echo 'ready: $(RUN) -m prepare.doctor tells what is there and what is missing'

# The stamp is newer than the pins it was made from: this runs once, and again when they change.
$(VENV)/.done: constraints.txt constraints-no-deps.txt
	@echo 'setting up $(VENV), about a minute ...'
ifneq ($(UV),)
	@$(UV) venv --quiet --seed --allow-existing --python '$(or $(PYTHON),>=3.11)' $(VENV)
	@$(torch)
	@UV_FIND_LINKS="$${UV_FIND_LINKS:-$(find_links)}" $(UV) pip install --quiet --python $(RUN) -r constraints.txt
	@$(UV) pip install --quiet --python $(RUN) --no-deps -r constraints-no-deps.txt
else
	@$(or $(PYTHON),python3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'error: this needs Python 3.11 or newer; name one, as in make setup PYTHON=python3.12'; exit 1; }
	@$(or $(PYTHON),python3) -m venv $(VENV)
	@$(torch)
	@$(pip) install -qq -r constraints.txt
	@$(pip) install -qq --no-deps -r constraints-no-deps.txt
endif
	@touch $@

pip := $(RUN) -m pip --disable-pip-version-check

# What pip was told in its environment or its settings, which uv does not read.
find_links = $$($(pip) config list | sed -n "s/.*find-links='\(.*\)'/\1/p" | head -n 1)

# On Linux, PyPI's torch brings gigabytes of CUDA along, and PyTorch's other builds lie elsewhere; uv knows where.
# So where there is no GPU, and pip was not told of a folder of packages, uv fetches the CPU build: an index beside
# PyPI's does not have it. Where it cannot be fetched, the next line of the set-up takes the usual one, and how to take
# the CPU build by hand is said.
define torch
build='$(TORCH)'; uv='$(UV)'; \
if [ -z "$$build" ] && [ "$$(uname)" = Linux ] && ! command -v nvidia-smi >/dev/null \
	&& ! $(pip) config list | grep find-links >/dev/null; then build=cpu; fi; \
case "$$build" in ''|pip) exit 0;; esac; \
[ -n "$$uv" ] || { $(pip) install -qq uv && uv=$(VENV)/bin/uv; }; \
UV_HTTP_TIMEOUT=20 UV_HTTP_RETRIES=1 \
	"$$uv" pip install --quiet --python $(RUN) --torch-backend="$$build" -c constraints.txt torch || \
	{ echo "the $$build build of torch could not be fetched (other choices: make help); by hand: \
	$(RUN) -m pip install -c constraints.txt torch --index-url https://download.pytorch.org/whl/$$build"; \
	[ -z '$(TORCH)' ]; }
endef

demo: $(VENV)/.done
	@$(RUN) -m sample.generate --text_prompt 'a person walks' 'a person waves the right hand' \
		'a person sits down' --motion_length 4 --output_dir runs/text --overwrite
	@$(RUN) -m visualize.render_mesh runs/text/sample00_rep00.mp4 --format glb html mp4 --overwrite
	@$(RUN) -m sample.mas --action_name drawn --num_samples 3 --output_dir runs/demo --overwrite
	@echo 'look at runs/text/sample00_rep00.mp4, and on a body at sample00_rep00.html (in a browser) and sample00_rep00.glb'
	@echo '(in Blender) beside it, at runs/demo/contact_sheet.png and runs/demo/result_0.mp4, then try:'
	@echo '  $(RUN) -m sample.generate --text_prompt "someone runs" --output_dir runs/run'
	@echo '  $(RUN) -m sample.mas --action_name dance --num_samples 3 --output_dir runs/dance'
	@echo '  $(RUN) -m sample.generate --model_path save/mocap2d --num_samples 10 --output_dir runs/2d'

test: $(VENV)/.done
	@$(VENV)/bin/lint-imports --no-logo --no-cache
	@$(ONE_THREAD) $(RUN) -m pytest -m 'not slow and not clients and not reliability' -n 2

test-slow: $(VENV)/.done
	@$(ONE_THREAD) $(RUN) -m pytest -m 'not clients and not reliability' -n 2 --cov

# What is not installed is skipped by name.
test-clients: $(VENV)/.done
	@$(ONE_THREAD) $(RUN) -m pytest -m clients -rs

# Mutated files, faults of the disk, kills; what was tried goes into the tables of RELIABILITY.md.
test-reliability: $(VENV)/.done
	@rm -f $(TALLY)
	@POLYKINE_TALLY=$(abspath $(TALLY)) $(ONE_THREAD) $(RUN) -m pytest -n 2 -rs tests/reliability tests/fuzz tests/crash \
		tests/utils/test_pickles.py tests/clients/test_page.py -k 'not clients or hostile_names'
	@$(RUN) -m tests.reliability.counts $(TALLY)

# pyright runs on node, which it cannot always fetch.
lint: $(VENV)/.done
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@if $(VENV)/bin/pyright --version >/dev/null 2>&1; then $(VENV)/bin/pyright; \
	else echo 'types were not checked: pyright needs node, install nodejs'; fi

format: $(VENV)/.done
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

bench: $(VENV)/.done
	@set -e; for name in $(basename $(notdir $(filter-out %/__init__.py,$(wildcard tests/benchmarks/*.py)))); do \
		echo "== $$name"; $(ONE_THREAD) $(RUN) -m tests.benchmarks.$$name; done

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
