#!/bin/sh
# Builds one of the programs that the benchmark compares with from its pinned
# module, into the cache of the test servers. Prints its path. A program that
# is there already is not built again.
#
#   build.sh FOLDER PROGRAM PACKAGE
set -eu

cd "$(dirname "$0")/$1"
cache=${KUBEFERRY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubeferry}/peers
hash=$({ cat go.mod go.sum; go env GOVERSION GOOS GOARCH; } | cksum | tr ' ' -)
dir=$cache/$1-$hash
if [ ! -x "$dir/$2" ]; then
	echo "building $2 of $1 (once; kept in $cache)" >&2
	mkdir -p "$dir"
	beside=$(mktemp -d "$dir/.building.XXXXXX")
	CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off go build -trimpath -ldflags '-s -w' -o "$beside/$2" "$3" ||
		{ rm -rf "$beside"; exit 1; }
	mv "$beside/$2" "$dir/$2"
	rmdir "$beside"
fi
echo "$dir/$2"
