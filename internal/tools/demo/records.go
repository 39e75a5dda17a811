package main

import (
	"context"
	"errors"
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
	if _, err := s.lastDecision(ctx); err != nil {
		return err
	}
	s.stage.fact("the log is whole, and has each of the %d answers", s.asked)

	s.stage.prose("A copy with one bit flipped:")
	if err := s.copyLog("flipped"); err != nil {
		return err
	}
	entries, err := filepath.Glob(s.path("flipped/audit/tile/entries/*/*"))
	if err != nil || len(entries) == 0 {
		return errors.New("the log has no entries")
	}
	if err := flip(entries[0]); err != nil {
		return err
	}
	if _, err := s.plimsoll(ctx, untrusted, "--data", "flipped", "audit", "verify"); err != nil {
		return err
	}
	s.stage.fact("it is seen, exit code %d", untrusted)
	return s.rewritten(ctx)
}

// rewritten shows why checkpoints are kept elsewhere.
func (s *story) rewritten(ctx context.Context) error {
	s.stage.prose("The machine's administrator, who holds the log's key, cuts a copy short and signs it again.\n" +
		"That copy alone is flawless. But somebody has kept an older checkpoint:")
	s.stage.command("cp data/audit/checkpoint checkpoint")
	b, err := os.ReadFile(s.path("data/audit/checkpoint"))
	if err == nil {
		err = os.WriteFile(s.path("checkpoint"), b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	if err := s.copyLog("rewritten"); err != nil {
		return err
	}
	if err := forge.CutShort(s.path("rewritten/audit"), 2); err != nil {
		return err
	}
	if _, err := s.plimsoll(ctx, allowed, "--data", "rewritten", "audit", "verify"); err != nil {
		return err
	}
	if _, err := s.plimsoll(ctx, untrusted, "--data", "rewritten", "audit", "verify", "--since", "checkpoint"); err != nil {
		return err
	}
	s.stage.fact("it is seen, exit code %d", untrusted)
	return nil
}

// copyLog copies the log into the data folder name.
func (s *story) copyLog(name string) error {
	s.stage.command("mkdir " + name + " && cp -r data/audit " + name)
	if err := os.CopyFS(filepath.Join(s.path(name), "audit"), os.DirFS(s.path("data/audit"))); err != nil {
		return fmt.Errorf("copy log: %w", err)
	}
	return nil
}
