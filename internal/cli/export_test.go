package cli

import "github.com/spf13/cobra"

// Tree returns the whole tree of commands, for tests that look at it.
func Tree() *cobra.Command { return newRoot(&Env{}) }
