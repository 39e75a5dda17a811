# Plimsoll: what can be made. `make` alone says what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
CACHE := .cache
# Programs that the machine lacks are unpacked into $(CACHE)/tools; this is where they are.
WITH_TOOLS := . $(CACHE)/tools/env;

.PHONY: help demo test build battery vm bench accuracy lint fuzz tools images clean

help: ## say what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: build images ## tell the whole story on two real images (about two minutes; first downloads apart)
	@$(WITH_TOOLS) go run ./internal/tools/demo

test: build images ## run every test, the demo as the last
	@$(WITH_TOOLS) go test ./...
	@$(WITH_TOOLS) cd internal/tools/interop; go test ./...
	@$(WITH_TOOLS) PLIMSOLL_DEMO=1 go test -v -count=1 -timeout=9m ./internal/tools/demo

battery: tools ## attack real engines, and try that what people do still works (root; about four minutes)
	@$(WITH_TOOLS) PLIMSOLL_BATTERY=1 go test -count=1 -timeout=9m ./internal/tools/engines ./internal/tools/battery

build: tools ## build bin/plimsoll, and the runtime that an engine starts several times for a container
	@$(WITH_TOOLS) go build -trimpath -o bin/ ./cmd/plimsoll
	@$(WITH_TOOLS) CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o bin/ ./cmd/plimsoll-runtime

bench: build ## measure against the bars and the peers (downloads 1 GB and builds syft once)
	@$(WITH_TOOLS) go run ./internal/tools/harbour $(CACHE) big mix single even huge
	@$(WITH_TOOLS) go run ./internal/tools/bench $(CACHE)

accuracy: build ## measure how much of images of known content is found, and that nothing else is
	@$(WITH_TOOLS) go run ./internal/tools/harbour $(CACHE) known known-rpm
	@$(WITH_TOOLS) go run ./internal/tools/accuracy $(CACHE) known known-rpm

vm: tools ## run the tests that need Debian's own kernel in a virtual machine (cgroup v2, AppArmor, quotas)
	@$(WITH_TOOLS) go run ./internal/tools/vm $(CACHE)

lint: tools ## the gate of style: formatting, vet, linters, dead code
	@$(WITH_TOOLS) scripts/lint.sh

fuzz: tools ## run every fuzz target for a few seconds (FUZZTIME=3s)
	@$(WITH_TOOLS) scripts/fuzz.sh $(or $(FUZZTIME),3s)

tools: # bring what the machine lacks
	@scripts/tools.sh $(CACHE)

images: tools # build the demo's images
	@$(WITH_TOOLS) go run ./internal/tools/harbour $(CACHE) old new unsigned altered foreign

clean: ## remove everything that was built or downloaded here
	@rm -rf bin $(CACHE)
