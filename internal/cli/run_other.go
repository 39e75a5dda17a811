//go:build !linux

package cli

import (
	"github.com/spf13/cobra"

	"plimsoll/internal/fault"
)

// exitOurs is the exit code of run for what is not the container's program.
const exitOurs = 125

func newRun(_ *Env) *cobra.Command {
	return &cobra.Command{
		Use:                "run IMAGE [COMMAND...]",
		Short:              "Run an image that the policy allows (on Linux)",
		Example:            "  sudo plimsoll run --team payments registry.example.com/payments/api:1",
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return &exitError{exitOurs, fault.Errorf(fault.Unavailable, "containers are sealed by the Linux kernel; this is another")}
		},
	}
}

func newStage(_ *Env) *cobra.Command {
	return &cobra.Command{Use: "seal-stage", Hidden: true, Short: "Nothing, here", RunE: func(*cobra.Command, []string) error {
		return fault.Errorf(fault.Unavailable, "containers are sealed by the Linux kernel; this is another")
	}}
}
