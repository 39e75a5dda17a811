package app

import (
	"context"
	"path/filepath"

	"plimsoll/internal/audit"
)

// AuditDir is the folder of the audit log.
func (s Settings) AuditDir() string { return filepath.Join(s.Data, "audit") }

// AuditLog opens the audit log to write. The caller closes it.
func (s Settings) AuditLog(ctx context.Context) (*audit.Log, error) {
	return audit.Open(ctx, s.AuditDir(), audit.Config{})
}
