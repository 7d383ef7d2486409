.PHONY: help build test lint generate update-golden bench fuzz ci

help: ## List these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## Build the program, small, as ./r2v-mcp
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o r2v-mcp .

test: ## Run the tests
	go test ./...

lint: ## Check format, vet, the linters and go.mod
	.ci/lint

generate: ## Write the generated parts of the README anew
	go generate ./...

update-golden: ## Write the golden tool list anew, to be reviewed
	go test ./tools -update

bench: ## Measure the start, the memory, the list of tools and an estimate
	go test -run '^$$' -bench . ./...

fuzz: ## Run each fuzz target for 30 seconds, or FUZZTIME
	.ci/fuzz

ci: ## Run all that must pass
	.ci/run
