//go:build unix && !linux

package app

import (
	"syscall"
	"time"
)

func changed(*syscall.Stat_t) time.Time { return time.Time{} }
