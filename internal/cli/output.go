package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"plimsoll/internal/fault"
)

// print writes a result: v as JSON if that was asked for, or the table.
// Columns in the table are separated by tabs.
func (env *Env) print(v any, table func(w io.Writer)) error {
	switch env.output {
	case "json":
		enc := json.NewEncoder(env.Out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
		return nil
	case "table":
		w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
		table(w)
		if err := w.Flush(); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
		return nil
	}
	return fault.Hint(fault.Errorf(fault.Usage, "unknown output form %q", env.output), "this command knows table and json")
}
