.PHONY: help build test lint generate update-golden bench fuzz fuzz-long killtest killtest-http soak ci

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

fuzz-long: ## Fuzz what reads media, 5,500,000 and 5,000,000 times; some ten minutes
	go test ./internal/media -run '^$$' -fuzz '^FuzzMP4$$' -fuzztime 5500000x -fuzzminimizetime 200x
	go test ./internal/media -run '^$$' -fuzz '^FuzzPicturesAndSounds$$' -fuzztime 5000000x -fuzzminimizetime 200x

killtest: ## End 10,000 processes with kill -9 at random steps, or KILLS of them; some 30 minutes
	go test ./internal/killtest -count=1 -v -timeout 3h -run 'WhoeverIsKilled|OnPostgreSQL' -kills $(or $(KILLS),10000)

killtest-http: ## Let people buy from two replicas for 5 minutes, or REPLICAS, and end one with kill -9 every 10 s
	go test ./internal/killtest -count=1 -v -timeout 3h -run 'Replica' -replicas $(or $(REPLICAS),5m)

soak: ## Work for 30 minutes, or SOAK, on bad days, and measure memory, files and goroutines
	go test ./internal/killtest -count=1 -v -timeout 3h -run 'TestSoak|TestMemory' -soak $(or $(SOAK),30m)

ci: ## Run all that must pass
	.ci/run
