#!/usr/bin/env bash
# Usage: scripts/lint.sh
# The gate: every tool pinned, run from its module, so that go.mod stays clean.
# shellcheck disable=SC2317  # functions are called through gate
set -euo pipefail
failed=0

# gate NAME COMMAND...: runs a check; what it prints to either stream is shown
# only if it fails.
gate() {
	local name=$1 began=$SECONDS out
	shift
	if out=$("$@" 2>&1); then
		printf 'lint: %-14s ok %4ds\n' "$name" $((SECONDS - began))
	else
		printf 'lint: %-14s FAILED\n%s\n' "$name" "$(tail -n 80 <<<"$out")"
		failed=1
	fi
}

# silent COMMAND...: fails if the command fails or prints anything.
silent() {
	local out
	out=$("$@") || { printf '%s\n' "$out"; return 1; }
	[ -z "$out" ] || { printf '%s\n' "$out"; return 1; }
}

# dead prints functions that nothing reaches; examples without output are only
# compiled.
dead() {
	local out
	out=$(go run golang.org/x/tools/cmd/deadcode@v0.52.0 -test ./...)
	grep -v 'unreachable func: Example' <<<"$out" || true
}

# The host names of package registries belong to the machine, not to the project.
registries() {
	! git grep -nIE 'proxy\.golang\.org|sum\.golang\.org|(deb|security)\.debian\.org|registry\.npmjs\.org|archive\.ubuntu\.com' -- . ':!scripts/lint.sh'
}

gate gofumpt silent go run mvdan.cc/gofumpt@v0.12.0 -l .
gate vet go vet ./...
gate darwin env GOOS=darwin go vet ./... # publishers have it
gate tidy go mod tidy -diff
gate tidy-interop go -C internal/tools/interop mod tidy -diff
gate fix silent go fix -diff ./...
gate staticcheck go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
gate golangci-lint go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...
gate deadcode silent dead
gate registries registries
if command -v shellcheck >/dev/null; then
	gate shellcheck shellcheck scripts/*.sh .ci/run
elif [ "${CI:-}" = true ]; then
	gate shellcheck false
else
	echo "lint: shellcheck     is not here: sudo apt-get install shellcheck"
fi

vulndb=${VULNDB:-.cache/vulndb}
if [ -d "$vulndb/index" ]; then
	gate govulncheck go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -db "file://$(cd "$vulndb" && pwd)" ./...
else
	echo "lint: govulncheck    has no database: .ci/run makes one from ../shared/advisories"
fi
exit $failed
