package app

import "testing"

// FuzzConfig: no file makes the parser fall over, or sets what only a flag may.
func FuzzConfig(f *testing.F) {
	f.Add("data: /x\nplainHTTP: true\n")
	f.Add("data: *a\n")
	f.Add("config: /etc/passwd\n")
	f.Add("? [\n: {")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseConfig([]byte(text))
		if err == nil && (s.Config != "" || s.policyNamed) {
			t.Errorf("%q set %+v", text, s)
		}
	})
}
