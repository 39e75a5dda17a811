package app

import (
	"syscall"
	"time"
)

// changed returns when the file itself was last changed, whatever its time says.
func changed(s *syscall.Stat_t) time.Time { return time.Unix(s.Ctim.Sec, s.Ctim.Nsec) }
