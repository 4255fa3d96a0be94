# Thin: each command is one line, the work is in scripts/ and in the programs it starts.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
STACK := $(CARGO_TARGET_DIR)/debug/catraca-stack

.PHONY: demo up dev test verify soak-kills bench fmt lint clean setup build edge web deploy soak-room bench-fairness

demo: build ; @exec $(STACK) demo
up: build ; @exec $(STACK) up
dev: build ; @exec $(STACK) up --wrangler
test: ; @exec scripts/test
verify: ; @exec scripts/verify
soak-kills: build ; @exec $(STACK) --local .local/test up --servers-only -- cargo test --locked -p catraca-core --test purchase -- --ignored --nocapture kills
bench: build ; @exec scripts/bench
bench-%: build ; @exec scripts/bench $*
soak-%: build ; @exec scripts/bench soak-$*
soak-room: edge ; node edge/tests/soak.mjs
bench-fairness: edge ; node edge/tests/fairness.mjs
fmt: ; cargo fmt
lint: ; @exec scripts/lint
clean: ; @exec scripts/clean
setup: ; @exec scripts/setup
build: ; @exec scripts/build
edge: setup ; @exec scripts/build-edge
web: setup ; scripts/build-verify && node web/build.mjs
deploy: setup web ; node_modules/.bin/wrangler deploy
