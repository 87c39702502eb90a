# Everything a developer runs. `make` alone says what there is.

.DEFAULT_GOAL := help
CRDS := crds charts/usher/files/crds
.PHONY: help build stack packages test up crds chart check bench scale soak microbench

help: ## say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Only here, or each commit would have everything compiled anew.
build: export USHER_COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null)
build: ## build the operator: target/release/usher
	cargo build --release --locked

packages: # what the tests need beside Rust, a C compiler and Go
	@command -v ip >/dev/null && command -v unshare >/dev/null && command -v setpriv >/dev/null || \
		{ apt-get update && apt-get install -y --no-install-recommends iproute2 util-linux; }

stack: ## build the real stack for tests (Kubernetes, LiveKit, participants, helm) into target/stack
	tests/stack/build

test: packages stack ## run all tests on the real stack
	cargo test --workspace --locked --no-run
	tests/support/netns tests/run

up: stack ## start the whole real stack on loopback, with the operator and a room with participants
	cargo build --release --locked
	cargo run --quiet --locked -p usher-testkit --bin up

crds: ## write crds/ and the chart's copy of them anew from the code
	cargo run --quiet --locked -- crd --output-dir crds
	cp crds/*.yaml charts/usher/files/crds/

chart: ## write the README of the chart anew from its values (needs make stack)
	target/stack/bin/helm-docs --log-level warning --chart-search-root charts

check: ## formatting, lints, generated files
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@$(MAKE) --no-print-directory crds
	git diff --exit-code -- $(CRDS) || { echo "$(CRDS): not what the code generates: run make crds and commit" >&2; exit 1; }
	@test -z "$$(git status --porcelain -- $(CRDS))" || { echo "$(CRDS): files that are not committed" >&2; exit 1; }
	@diff -r $(CRDS) || { echo "a definition is there that the code does not generate: remove it" >&2; exit 1; }

bench: packages stack ## measure Usher beside other ways on the real stack, and write docs/benchmarks.md (SHORT=1: only try it)
	tests/bench/prepare
	cargo build --release --locked
	cargo build --release --locked -p usher-testkit --bins
	tests/support/netns target/release/bench $(if $(SHORT),--short)

scale: ## measure 100,000 participants under 1,000 policies on the simulated server, and write docs/benchmarks.md
	cargo build --release --locked --workspace --bins
	target/release/scale target/release/usher

MINUTES ?= 60
soak: packages ## let the release build run in changing weather and see that nothing leaks (MINUTES=60)
	cargo build --release --locked
	USHER_SOAK_MINUTES=$(MINUTES) tests/support/netns cargo test --locked --test soak -- --nocapture what_comes

microbench: ## measure the code alone: the planner, the way of a webhook
	cargo bench --locked

.PHONY: reference
reference: ## write docs/reference anew from the code
	cargo run --quiet --locked -- crd --format markdown --output-dir docs/reference
