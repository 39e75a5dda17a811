//go:build !linux

package cli

import (
	"github.com/spf13/cobra"

	"plimsoll/internal/fault"
)

func newGuard(_ *Env) *cobra.Command {
	return &cobra.Command{
		Use:                "guard",
		Short:              "Stand between a host's people and its container engine (on Linux)",
		Example:            "  sudo plimsoll guard doctor",
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return fault.Errorf(fault.Unavailable, "containers are sealed by the Linux kernel; this is another")
		},
	}
}
