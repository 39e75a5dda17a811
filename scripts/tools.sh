#!/usr/bin/env bash
# Usage: scripts/tools.sh CACHE
# Looks for Go, then brings whatever else is missing (internal/tools/bootstrap).
set -euo pipefail
wanted=1.26

die() {
	printf 'tools: error: %s\ntools: hint: %s\n' "$1" "$2" >&2
	exit 1
}

command -v go >/dev/null || die "there is no go on PATH" "install Go $wanted or later (https://go.dev/doc/install) and put its bin folder on PATH"
have=$(GOTOOLCHAIN=local go env GOVERSION)
have=${have#go}
oldest=$(printf '%s\n%s\n' "$wanted" "${have%%[- ]*}" | sort -V | head -n 1)
[ "$oldest" = "$wanted" ] || die "go on PATH is $have, and plimsoll needs $wanted or later" "install Go $wanted or later (https://go.dev/doc/install) and put its bin folder on PATH"

CGO_ENABLED=0 go run ./internal/tools/bootstrap "$1"
