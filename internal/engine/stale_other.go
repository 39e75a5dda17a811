//go:build !linux

package engine

func (q *request) refresh(string) error { return nil }
