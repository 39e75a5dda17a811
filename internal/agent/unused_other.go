//go:build !linux

package agent

import "plimsoll/internal/fault"

func unused(string, uint32) error {
	return fault.Errorf(fault.Unavailable, "quotas are known on Linux only")
}
