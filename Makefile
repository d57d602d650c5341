# `make up` starts Simdeck; `make test` runs every check and test. Both first make the environments they need.
PYTHON ?= python3
SHELL := /bin/sh
BOOTSTRAP = $(PYTHON) bootstrap/environments.py
UV = .simdeck/tools/uv-*/bin/uv

.PHONY: up site test check bench nightly lock clean environments dev

up:
	@exec $(BOOTSTRAP) --then .venv/bin/simdeck up

# A trial of a whole multi-user site on this machine, as root on Debian or Ubuntu; Ctrl-C takes it away again.
# PORT, USERS, SUBNET, SERVICE_USER and ACCOUNTING=1 (slurmdbd on a private MariaDB) change it.
site:
	@exec $(BOOTSTRAP) --then .venv/bin/python -m simdeck_hub.trial

environments:
	@$(BOOTSTRAP)

dev:
	@$(BOOTSTRAP) --dev

# Static checks, then every test layer that can run here; one that cannot says why.
test: dev
	@.venv/bin/python tests/run.py --install

check: dev
	@.venv/bin/python tests/run.py --only check

# Measurements, as ratios in one run; nothing here fails because a machine is slow.
bench: dev
	@.venv/bin/python tests/run.py --only bench

# The long random rounds of the process-kill tests.
nightly: dev
	@SIMDECK_CHAOS_ROUNDS=200 .venv/bin/python tests/run.py --install

lock: environments
	@for name in uv node hub backend dev crates; do \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --overrides locks/overrides.txt locks/$$name.in -o locks/$$name.txt || exit 1; \
	done

# Environments and caches; data folders stay.
clean:
	rm -rf .venv node_modules .simdeck/tools .simdeck/envs /var/lib/simdeck-trial/prefix .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
