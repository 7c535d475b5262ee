# Every target does its own set-up; `make help` lists them all.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
BUILD := .build
# Playbooks run from the built and installed collection, as on an administrator's machine.
COLLECTIONS := $(CURDIR)/$(BUILD)/collections
export ANSIBLE_COLLECTIONS_PATH := $(COLLECTIONS)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PYTHONDONTWRITEBYTECODE := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)
INVENTORY ?= inventories/lab/hosts.yml
ARGS ?=

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Virtual environment with the pinned requirements
	@tools/setup

.PHONY: collection
collection: setup ## Build the collection and install it into .build/collections
	@tools/collection

.PHONY: lab
lab: setup ## Start the lab hosts (installs Podman where it is missing)
	@$(BIN)/python tests/hosts/lab.py up

.PHONY: site
site: collection lab ## Provision the lab: detect, plan, apply, verify, report
	@$(BIN)/ansible-playbook -i $(INVENTORY) site.yml $(ARGS)

.PHONY: preview
preview: collection lab ## The same with --check --diff: shows every change, makes none
	@$(BIN)/ansible-playbook -i $(INVENTORY) site.yml --check --diff $(ARGS)

.PHONY: test
test: collection ## All but the long suites, which it lists: gates, unit tests, RTC server, real daemons, Molecule
	@tools/packages
	@$(BIN)/python tools/run_tests.py --coverage

.PHONY: quick
quick: setup ## For a start: gates and unit tests, no root, no lab, under two minutes
	@$(BIN)/python tools/run_tests.py ruff format python38 mypy docs changelog yamllint unit

.PHONY: lint
lint: collection ## All gates: ruff, mypy, Python 3.8, documents, changelog, yamllint, ansible-lint (production profile)
	@$(BIN)/python tools/run_tests.py ruff format python38 mypy docs changelog yamllint ansible-lint

.PHONY: unit
unit: setup ## Unit tests of modules and their helpers
	@$(BIN)/python tools/run_tests.py unit

.PHONY: coverage
coverage: setup ## Unit tests and RTC server with the lines that they run; fails below the floors of tools/run_tests.py
	@$(BIN)/python tools/run_tests.py --coverage unit rtc-server

.PHONY: sanity
sanity: collection ## ansible-test sanity, and units of the modules
	@$(BIN)/python tools/run_tests.py sanity units

# What the documents show is what the tests have seen: name of a test's picture -> name in docs/pictures.
PICTURES := panel-light-top=panel panel-down-light-top=panel-down check-light=check-works \
	check-unreachable=check-unreachable example-away=clients-example

.PHONY: pictures
pictures: setup ## Take the pictures of the documents anew, from the tests in a real browser
	@$(BIN)/python -m pytest -q tests/pages -k "picture or example"
	@for one in $(PICTURES); do cp $(BUILD)/artefacts/pages/$${one%=*}.png docs/pictures/$${one#*=}.png; done

.PHONY: test-rtc
test-rtc: collection ## The RTC server's tests in their long form, with their figures (about an hour)
	@tools/packages
	@$(BIN)/python tests/rtc_server/run_all.py

.PHONY: test-rtc-cluster
test-rtc-cluster: collection ## RTC servers on PostgreSQL 13, 15, 17: kills, failover, cut networks, upgrades, with their figures
	@tools/packages
	@status=0; for version in 13 "" 17; do echo "==> PostgreSQL $${version:-of the distribution}"; \
	  RTC_CLUSTER=long PYTEST_TIMEOUT=5400 RTC_POSTGRES=$$version $(BIN)/python -m pytest -q tests/rtc_server/test_cluster*.py \
	    tests/rtc_server/test_store*.py tests/rtc_server/test_contract_on_store.py tests/rtc_server/test_moving.py || status=1; done; exit $$status

.PHONY: soak
soak: collection ## The RTC server under mixed load with attacks and kills: RTC_SOAK=60 minutes
	@RTC_SOAK=$${RTC_SOAK:-60} PYTEST_TIMEOUT=0 $(BIN)/python -m pytest -q -s tests/rtc_server/test_soak.py

.PHONY: molecule
molecule: collection ## A Molecule scenario on real hosts: SCENARIO=default, runs, operate, cluster, upgrade, hostile, faults or fleet
	@$(BIN)/python tools/run_tests.py $(subst upgrade,upgrade-long,$(subst cluster,cluster-long,$(subst operate,operate-long,$(subst runs,course-long,$(subst default,molecule,$(or $(SCENARIO),default))))))

.PHONY: bundle
bundle: setup ## pip resolves a bundle of the real packages for each pair of Python and machine
	@$(BIN)/python tools/run_tests.py bundle-long

.PHONY: versions
versions: collection ## The playbooks under each supported ansible-core, with pip and the Pythons that are there
	@$(BIN)/python tools/run_tests.py versions

.PHONY: test-all
test-all: collection ## make test, and the long scenarios: faults, every topology
	@tools/packages
	@$(BIN)/python tools/run_tests.py --coverage all

.PHONY: count-calls
count-calls: site ## Remote calls and bytes sent of one more run on the lab, for each host; last line JSON
	@tools/count_remote_calls.py -i $(INVENTORY) $(ARGS)

.PHONY: bench-modules
bench-modules: collection ## tomcat_connector and java_truststore beside community.general, last line JSON
	@cd tests && $(CURDIR)/$(BIN)/python -m bench.run_modules

.PHONY: bench-rtc
bench-rtc: setup ## The RTC server beside Node, netty, python-socketio; with TLS, uvloop, an old journal (over an hour)
	@tools/packages
	@PYTHONPATH=files/rtc_server/src $(BIN)/python tests/bench/rtc/bench.py $(ARGS)

.PHONY: docs
docs: setup ## Write the generated references in docs/
	@PYTHONPATH=$(BUILD)/src $(BIN)/python tools/generate_docs.py

.PHONY: changelog
changelog: setup ## Write CHANGELOG.rst from changelogs/changelog.yaml
	@$(BIN)/antsibull-changelog generate

.PHONY: lock
lock: setup ## Pin the requirements with hashes; ARGS=--upgrade takes the newest versions
	@tools/lock $(ARGS)

.PHONY: clean
clean: ## Remove the hosts and images of the lab, the virtual environment and everything built
	@if [ -x $(BIN)/python ]; then $(BIN)/python tests/hosts/lab.py clean --all; fi
	@rm -rf $(BUILD) .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@echo "Clean."
