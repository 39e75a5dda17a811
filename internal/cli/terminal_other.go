//go:build !linux

package cli

// hush leaves the echo to the read that follows.
func hush(int) error { return nil }
