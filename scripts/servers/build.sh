#!/bin/sh
# Builds the servers that the tests run against, etcd and an S3 store, each from
# its own pinned module, into a cache outside the tree. Prints one line NAME=PATH for each
# program, fit for the environment of `go test`. A program that is there
# already is not built again.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${KUBEFERRY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubeferry}/servers

# build VARIABLE MODULE PROGRAM PACKAGE LIBRARY; the library is what is pinned
build() {
	cd "$here/$2"
	version=$(go list -m -f '{{.Version}}' "$5")
	hash=$({ cat ./*.go go.mod go.sum; go env GOVERSION GOOS GOARCH; } | cksum | tr ' ' -)
	dir=$cache/$2-$version-$hash
	if [ ! -x "$dir/$3" ]; then
		echo "building $3 $version (once; kept in $cache)" >&2
		mkdir -p "$dir"
		beside=$(mktemp -d "$dir/.building.XXXXXX")
		CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off go build -trimpath -ldflags '-s -w' -o "$beside/$3" "$4" ||
			{ rm -rf "$beside"; exit 1; }
		mv "$beside/$3" "$dir/$3"
		rmdir "$beside"
	fi
	echo "$1=$dir/$3"
}

etcd=go.etcd.io/etcd/server/v3
build KUBEFERRY_TEST_ETCD_35 etcd-3.5 etcd . $etcd
build KUBEFERRY_TEST_ETCD_36 etcd-3.6 etcd . $etcd
build KUBEFERRY_TEST_ETCD_37 etcd-3.7 etcd . $etcd
build KUBEFERRY_TEST_ETCDUTL_36 etcd-3.6 etcdutl go.etcd.io/etcd/etcdutl/v3 $etcd
build KUBEFERRY_TEST_VERSITYGW versitygw versitygw github.com/versity/versitygw/cmd/versitygw github.com/versity/versitygw
