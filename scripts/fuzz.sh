#!/usr/bin/env bash
# Usage: scripts/fuzz.sh TIME
# Runs every fuzz target for TIME each: 3s, or 2000x for so many inputs. On a
# loaded machine a time can end in "context deadline exceeded" and no finding,
# so a gate counts inputs.
set -euo pipefail

grep -rlE --include='*_test.go' '^func Fuzz' . | xargs -r -n 1 dirname | sort -u | while read -r dir; do
	for target in $(go test -list '^Fuzz' "$dir" | grep '^Fuzz'); do
		echo "fuzz: $dir $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 100x "$dir"
	done
done
