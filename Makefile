# Every habit of this repository, one line each: `make help`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GOBIN := .cache/bin
export PATH := $(CURDIR)/$(GOBIN):$(CURDIR)/$(BIN):$(PATH)

IEC ?= examples/llama-3.3-70b-dpd.yaml
OUT ?= values.yaml
# Suites with targets of their own: they take minutes, or need what `make test` does not build.
APART := tests/engines tests/images tests/soak tests/scale tests/cluster

# Tests at once: they wait for processes of theirs a third of the time, so one more than the smallest machine has cores.
AT_ONCE ?= 3

.PHONY: help demo picture render test compiled conformance soak coverage e2e-engines bench bench-quick growth flame quality peers e2e scale cluster cluster-down test-quick lint format generate verify goldens lock tools kubernetes collector grafana kwok images package clean

help: ## List every target
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements.lock pyproject.toml $(wildcard */pyproject.toml */*/pyproject.toml) tools/install.py
	@$(PYTHON) tools/install.py $(VENV)

.cache/bin/.helm: tools/go.mod tools/go.sum tools/provision.py
	@$(PYTHON) tools/provision.py helm

.cache/bin/.all: tools/go.mod tools/go.sum tools/provision.py
	@$(PYTHON) tools/provision.py all

.cache/cluster/.built: $(wildcard tools/cluster/*.go) tools/cluster/go.mod tools/cluster/go.sum tools/cluster/crds.json tools/cluster/provision.py tools/gobuild.py
	@PYTHONPATH=tools $(PYTHON) -m cluster.provision

kubernetes: .cache/cluster/.built ## Build the pinned Kubernetes and fetch the platform's CRDs, for the tests

.cache/collector/.built: $(wildcard tools/collector/*.go) tools/collector/go.mod tools/collector/go.sum tools/collector/provision.py tools/gobuild.py
	@PYTHONPATH=tools $(PYTHON) -m collector.provision

.cache/kwok/.built: tools/kwok/go.mod tools/kwok/go.sum tools/kwok/provision.py tools/gobuild.py
	@PYTHONPATH=tools $(PYTHON) -m kwok.provision

kwok: .cache/kwok/.built ## Build kwok, the nodes that are not there, for the tests of scale

collector: .cache/collector/.built ## Build an OpenTelemetry collector of the chart's pinned modules, for the tests

tools: $(VENV)/.installed .cache/bin/.all ## Build the pinned helm, ct, helm-unittest and kubeconform, and the virtual environment

demo: $(VENV)/.installed .cache/bin/.helm ## Run the example (or IEC=your.yaml) on this machine: router and simulated engines; OBSERVE=1: and Prometheus
	@$(BIN)/dpd-demo "$(IEC)" $(if $(KEEP)$(OBSERVE),--keep) $(if $(OBSERVE),--observe "$$($(PYTHON) tools/prometheus.py)")

picture: $(VENV)/.installed .cache/bin/.helm ## Draw docs/dashboard.svg: what the dashboard shows of two minutes of the demo under load
	@$(BIN)/python -m dpd_local.picture "$$($(PYTHON) tools/prometheus.py)" docs/dashboard.svg

render: $(VENV)/.installed ## Turn IEC=endpoint.yaml into OUT=values.yaml
	@$(BIN)/dpd render "$(IEC)" -o "$(OUT)"

.cache/grafana/.built: $(wildcard tools/grafana/*.go) tools/grafana/go.mod tools/grafana/go.sum tools/grafana/provision.py tools/gobuild.py
	@PYTHONPATH=tools $(PYTHON) -m grafana.provision

grafana: .cache/grafana/.built ## Build what reads a dashboard as Grafana's own types have it, for the tests

test: tools kubernetes collector grafana lint verify ## Everything: lint, generated files, unit, chart, router, simulator and demo tests
	@$(BIN)/pytest -n $(AT_ONCE) --dist loadscope $(addprefix --ignore ,$(APART) tests/router)
	@$(MAKE) --no-print-directory coverage

compiled: tools kubernetes ## The router's own tests again, against what its image has: its hot modules compiled (takes a C compiler)
	@PYTHONPATH="$$($(BIN)/python tools/compiled.py)" $(BIN)/pytest -n $(AT_ONCE) --dist loadscope -m 'not patches' tests/router

conformance: tools ## The engines' suite on simulated engines: what `make e2e-engines` asks of real ones
	@PYTHONPATH="$$($(BIN)/python tools/compiled.py)" $(BIN)/pytest -n 4 --dist loadscope tests/engines

soak: tools kubernetes ## Thousands of requests, streams and generated cases against the router, and rolling restarts under load
	@PYTHONPATH="$$($(BIN)/python tools/compiled.py)" $(BIN)/pytest tests/soak

coverage: tools kubernetes ## The router's own tests, and how much of it they run: at least 95 % of its lines
	@$(BIN)/pytest -n $(AT_ONCE) --dist loadscope --cov dpd_router --cov-fail-under 95 --no-cov-on-fail tests/router

e2e-engines: tools ## Real vLLM, LMCache and NIXL without a GPU, from the rendered pods: minutes, 3.5 GB of disk
	@PYTHONPATH=tests $(BIN)/python -m engines.harness.build
	@DPD_ENGINES=1 $(BIN)/pytest tests/engines -k 'real or unit'

e2e: tools kubernetes kwok ## A real node on this machine (root), or DPD_CLUSTER=kubeconfig: the scenarios of docs/cluster.md
	@$(BIN)/pytest --durations 0 --durations-min 5 tests/scale tests/cluster

scale: tools kubernetes kwok ## 300 endpoints of one controller, 1,000 pods of one router, on nodes that are not there: half an hour
	@PYTHONPATH=tests:tools $(BIN)/python -m bench.scale && PYTHONPATH=tests:tools $(BIN)/python -m bench.page

cluster: tools kubernetes ## The node alone, with the images, to try things on; it stays until `make cluster-down`
	@PYTHONPATH=tools $(BIN)/python -m cluster.workloads

cluster-down: $(VENV)/.installed ## End the node and put the machine back as it was
	@PYTHONPATH=tools $(BIN)/python -m cluster.live down

peers: tools ## What benchmarks stand on: the Rust routers, proxies and an allocator installed, ours compiled (once for a clone; minutes)
	@PYTHONPATH=tests:tools $(BIN)/python -m bench.ready

bench: peers ## Every bar: the router beside nginx and two Rust routers, renderer and chart, strategies (an idle machine; about 40 minutes)
	@code=0; for part in run render quality; do PYTHONPATH=tests:tools $(BIN)/python -m bench.$$part || code=$$?; done; \
	PYTHONPATH=tests:tools $(BIN)/python -m bench.page; exit $$code

bench-quick: peers ## Ours beside the others with an eighth of the load and one round: for a first look, not for a verdict
	@PYTHONPATH=tests:tools $(BIN)/python -m bench.run --quick

growth: tools ## How cost grows: decisions, streams, bodies, processes, pods, renderer, chart (half an hour, or MOST=100000 prefixes)
	@code=0; for part in traffic discovery "choices --most-prefixes $(or $(MOST),10000000)" render; do \
		PYTHONPATH=tests:tools $(BIN)/python -m bench.$$part || code=$$?; done; \
	PYTHONPATH=tests:tools $(BIN)/python -m bench.page; exit $$code

quality: tools ## How well strategies choose, and what prefills do to streams: simulated, minutes; docs/benchmarks.md
	@code=0; PYTHONPATH=tests:tools $(BIN)/python -m bench.quality || code=$$?; PYTHONPATH=tests:tools $(BIN)/python -m bench.interference && PYTHONPATH=tests:tools $(BIN)/python -m bench.page; exit $$code

flame: tools ## Where the router's time goes under load: docs/flame.svg, and its section in docs/benchmarks.md
	@PYTHONPATH=tests:tools $(BIN)/python -m bench.flame && PYTHONPATH=tests:tools $(BIN)/python -m bench.page

test-quick: $(VENV)/.installed ## What needs neither Go tools nor many seconds
	@$(BIN)/pytest -n 2 --dist loadscope -m 'not slow' tests/schemas tests/renderer tests/router tests/simulator

lint: tools ## ruff, mypy, import-linter, yamllint, hadolint, helm lint, ct lint
	@$(BIN)/python tools/lint.py

format: $(VENV)/.installed ## Let ruff rewrite what it can
	@$(BIN)/ruff check --fix --quiet . && $(BIN)/ruff format .

generate: $(VENV)/.installed ## Write every generated file again
	@$(BIN)/python schemas/build.py
	@PYTHONPATH=tests:tools $(BIN)/python -m bench.page

verify: $(VENV)/.installed ## Fail when a generated file is stale
	@$(BIN)/python schemas/build.py --check
	@PYTHONPATH=tests:tools $(BIN)/python -m bench.page --check

goldens: tools ## Write tests/cases goldens again; read the diff before you commit it
	@UPDATE_GOLDENS=1 $(BIN)/pytest -q tests/renderer tests/chart -k golden

images: tools ## Build router, simulator and the engines' image without Docker or a registry, and run them (root; Debian)
	@PYTHONPATH=tests $(BIN)/pytest tests/images

package: .cache/bin/.helm ## Package the charts into build/
	@mkdir -p build && $(GOBIN)/helm package charts/dpd charts/dpd-operator -d build

lock: ## Resolve requirements.lock anew
	@$(PYTHON) tools/install.py --lock $(VENV)

clean: ## Remove what the targets made
	@rm -rf build dist .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
