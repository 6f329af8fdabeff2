# What a developer types. Needs Go, make, git and a C compiler (for the race detector).

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X github.com/kubeferry/kubeferry/cmd.version=$(VERSION)
FIXTURE  := testdata/fixtures/registry-1.36.db.zst
FUZZTIME := 10s
# Packages with goroutines of their own, for the race detector.
RACY     := ./archive/... ./crypt/... ./etcdwalk/... ./remote/... ./cmd/ferry/...
# build.sh prints NAME=PATH for each server.
WITH_SERVERS = servers="$$(scripts/servers/build.sh)"; while IFS= read -r server; do export "$$server"; done <<<"$$servers";

.PHONY: build demo test test-long test-controlplane race lint vuln bench microbench fuzz docs fixtures servers clean

build: # bin/kubeferry, static
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/kubeferry .

demo: build # the main job, on an etcd inside the process
	bin/kubeferry demo

test: # everything that is quick, against real etcd and S3 servers
	$(WITH_SERVERS) \
	go test -p 2 -timeout 20m ./...

test-long: race build # the sweeps, which take up to an hour
	$(WITH_SERVERS) \
	KUBEFERRY_LONG=1 go test -p 2 -timeout 80m ./...
	go -C scripts/bench vet ./...
	$(WITH_SERVERS) \
	KUBEFERRY_LONG=1 go -C scripts/bench test ./...

test-controlplane: build # restores into a real control plane, of whoever has one: KUBE_APISERVER=… KUBE_CONTROLLER_MANAGER=…, RUNS each, ROWS by name
	$(WITH_SERVERS) \
	KUBEFERRY=$(CURDIR)/bin/kubeferry go test -count=1 -v -timeout 120m ./scripts/controlplane

race:
	$(WITH_SERVERS) \
	go test -race -p 2 -timeout 30m $(RACY)

lint: # the rules of .golangci.yml, gofmt, vet, and the checksums of what is linked
	unformatted="$$(gofmt -l .)"; [ -z "$$unformatted" ] || { printf 'gofmt would change:\n%s\n' "$$unformatted" >&2; exit 1; }
	go vet ./...
	"$$(go -C scripts/tools tool -n golangci-lint)" run ./...
	go mod verify

vuln: # known vulnerabilities; apart from lint, since it asks a database on the network
	"$$(go -C scripts/tools tool -n govulncheck)" ./...

bench: build # against what people use without us, on etcd servers of this machine; QUICK=1: two minutes
	go -C scripts/bench build -trimpath -o ../../bin/bench .
	bin/bench -kubeferry bin/kubeferry -json bin/bench.json $(if $(QUICK),-quick) $(BENCHFLAGS)

microbench: # the Go benchmarks; fails where there is none
	mkdir -p bin
	go test -run '^$$' -bench . -benchmem ./archive/... ./etcdwalk/... | tee bin/microbench.txt
	grep -q '^Benchmark' bin/microbench.txt || { echo 'microbench: there is no benchmark' >&2; exit 1; }

fuzz: # every fuzz target, FUZZTIME each
	scripts/fuzz.sh $(FUZZTIME)

docs: # the command reference, from the commands themselves
	go test ./cmd -run TestReference -update

fixtures: # the sample keyspace of the demo, from a database that a kube-apiserver filled
	go run ./scripts/fixtures $(FIXTURE) cmd/demo/sample.zip

servers: # the etcd and S3 servers of the tests, built once and cached
	scripts/servers/build.sh

clean:
	rm -rf bin
