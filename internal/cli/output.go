package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"plimsoll/internal/fault"
)

// print writes a result: v as JSON if that was asked for, or the table.
// Columns in the table are separated by tabs.
func (env *Env) print(v any, table func(w io.Writer)) error {
	switch env.output {
	case "json":
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
		return env.writeJSON(b.Bytes())
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

// writeJSON writes a document whole. JSON lets characters through that command a
// terminal or are not seen (U+009B, U+202E); in its strings they may as well be
// written as escapes, and are.
func (env *Env) writeJSON(b []byte) error {
	out := make([]byte, 0, len(b))
	for _, r := range string(b) {
		switch {
		case r < 0x7f || !unicode.In(r, unicode.Cc, unicode.Cf):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	if _, err := env.Out.Write(out); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}
