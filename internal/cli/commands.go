package cli

import "github.com/spf13/cobra"

// commands is the explicit list of what plimsoll can do, in the order in which
// a person meets it.
var commands = []func(*Env) *cobra.Command{
	newKey,
	newTrust,
	newSign,
	newAttest,
	newVerify,
	newSBOM,
	newScan,
	newAdvisories,
	newCheck,
	newCopy,
	newPolicy,
	newAudit,
	newGuard,
	newRun,
	newStage,
	newVersion,
}
