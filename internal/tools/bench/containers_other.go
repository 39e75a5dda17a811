//go:build !linux

package main

import "context"

// containers start on Linux only.
func (*bench) containers(context.Context) ([]row, error) {
	return []row{{"starting containers", "not measured: needs Linux", ""}}, nil
}
