package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"plimsoll/internal/tools/forge"
)

// records reads the audit log, and copies of it that somebody has spoilt.
func (s *story) records(ctx context.Context) error {
	s.stage.prose("Every answer above stands in the audit log.")
	if _, err := s.plimsoll(ctx, allowed, "audit", "log"); err != nil {
		return err
	}
	if _, err := s.plimsoll(ctx, allowed, "audit", "verify"); err != nil {
		return err
	}
	s.stage.fact("the log is whole")

	s.stage.prose("A copy with one bit flipped:")
	copied, err := s.copyLog("flipped")
	if err != nil {
		return err
	}
	entries, err := filepath.Glob(filepath.Join(copied, "audit/tile/entries/*/*"))
	if err != nil || len(entries) == 0 {
		return fmt.Errorf("the log in %s has no entries", copied)
	}
	if err := flip(entries[0]); err != nil {
		return err
	}
	if _, err := s.plimsoll(ctx, untrusted, "--data", copied, "audit", "verify"); err != nil {
		return err
	}
	s.stage.fact("it is seen, exit code %d", untrusted)
	return s.rewritten(ctx)
}

// rewritten shows why checkpoints are kept elsewhere.
func (s *story) rewritten(ctx context.Context) error {
	s.stage.prose("The machine's administrator, who holds the log's key, cuts a copy short and signs it again.\n" +
		"That copy alone is flawless. But somebody has kept an older checkpoint:")
	checkpoint := s.path("checkpoint")
	s.stage.command("cp data/audit/checkpoint checkpoint")
	b, err := os.ReadFile(s.path("data/audit/checkpoint"))
	if err == nil {
		err = os.WriteFile(checkpoint, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	copied, err := s.copyLog("rewritten")
	if err != nil {
		return err
	}
	if err := forge.CutShort(filepath.Join(copied, "audit"), 2); err != nil {
		return err
	}
	if _, err := s.plimsoll(ctx, allowed, "--data", copied, "audit", "verify"); err != nil {
		return err
	}
	if _, err := s.plimsoll(ctx, untrusted, "--data", copied, "audit", "verify", "--since", checkpoint); err != nil {
		return err
	}
	s.stage.fact("it is seen, exit code %d", untrusted)
	return nil
}

// copyLog copies the log into a data folder of its own and returns that.
func (s *story) copyLog(name string) (string, error) {
	copied := s.path(name)
	if err := os.CopyFS(filepath.Join(copied, "audit"), os.DirFS(s.path("data/audit"))); err != nil {
		return "", fmt.Errorf("copy log: %w", err)
	}
	return copied, nil
}
