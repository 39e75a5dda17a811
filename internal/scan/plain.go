package scan

import "strings"

// Plain returns text from outside as it may stand on a line: at most that many
// bytes of it, valid UTF-8, without control characters and the space around it.
func Plain(s string, most int) string {
	s = strings.ToValidUTF8(strings.TrimSpace(s[:min(len(s), most)]), "\uFFFD")
	if strings.ContainsFunc(s, control) {
		s = strings.Map(visible, s)
	}
	return s
}
