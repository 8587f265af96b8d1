# What can be done here. `make` alone prints the list; each recipe is a line or a script in tools/.
.DEFAULT_GOAL := help
.PHONY: help setup build payload dist demo test test-peers test-mutants lint fuzz docs bench clean

help: ## this list
	@echo "Packlight: source in, observable image out."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo
	@echo "New here? \`make demo\` shows all of it in a few minutes; docs/tutorial.md goes through it step by step."

setup: ## check what development needs; what is missing is named, then installed with apt
	@tools/setup.sh test

build: payload ## build target/debug/packlight, and the programs that it brings along
	cargo build --locked -p packlight

payload: ## build those programs (launcher, buildpacks, extension) into target/payload
	@tools/payload.sh

dist: ## write dist/packlight, the one static file that a user downloads; for other platforms lifecycle, buildpacks and builder
	@tools/setup.sh demo
	@tools/dist.sh all

demo: ## build an example app into an image, run it, ask it, show the span of that request
	@tools/demo.sh

test: ## every test, as .ci/run does
	@tools/test.sh

test-peers: ## the specification's cases, and our lifecycle under pack and beside the reference lifecycle
	@tools/setup.sh peers
	@tools/test.sh peers

test-mutants: ## our sources with one line made wrong, and the test that notices: those not seen yet; MUTANTS="a b" for some of them
	@tools/mutants.sh $(if $(MUTANTS),$(MUTANTS),new)

lint: ## formatting and lints
	@tools/test.sh lint

fuzz: ## throw bytes at every parser of foreign files, SECONDS_EACH=60 of each; TARGETS="a b" for some of them
	@tools/setup.sh fuzz
	@tools/fuzz.sh $(TARGETS)

docs: ## the documentation of the code, in target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

bench: ## measure the figures that the README and docs name, each beside its peer
	@tools/setup.sh bench
	@bench/run.sh

clean: ## remove what was built here (images and caches stay in the store)
	cargo clean
	rm -rf dist
