#!/usr/bin/env bash
# Runs every fuzz target of the module for the time given (10s), one after the
# other. Fails if it finds none: a search that finds nothing proves nothing.
set -euo pipefail

time=${1:-10s}

# go test -list prints a package's targets, then its "ok" line.
listed=$(go test -list '^Fuzz' ./...)
targets=$(awk '/^Fuzz/ { names[n++] = $1 } /^ok/ { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }' <<<"$listed")
if [ -z "$targets" ]; then
	echo "fuzz: no fuzz target found" >&2
	exit 1
fi
while read -r package target; do
	echo "fuzz: $package $target"
	go test -run '^$' -fuzz "^$target\$" -fuzzminimizetime 1x -fuzztime "$time" "$package" </dev/null
done <<<"$targets"
echo "fuzz: $(wc -l <<<"$targets") targets, $time each, found nothing"
