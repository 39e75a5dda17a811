package host

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnitsAreUnderstood has systemd itself read what is installed, beside the
// engine's units as they are packaged.
func TestUnitsAreUnderstood(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		lack(t, "systemd-analyze")
	}
	h := newTree(t, withSystemd(map[string]string{
		"/lib/systemd/system/docker.service": strings.Replace(debianService, "$DOCKER_OPTS", "", 1),
		"/bin/kill":                          "",
	}))
	for _, unit := range []string{"sysinit.target", "basic.target", "sockets.target", "multi-user.target", "network-online.target", "local-fs.target", "shutdown.target", "system.slice", "-.slice", "-.mount", "systemd-tmpfiles-setup.service"} {
		h2 := "[Unit]\nDescription=x\n"
		if strings.HasSuffix(unit, ".service") {
			h2 += "[Service]\nType=oneshot\nExecStart=/bin/kill\n"
		} else if strings.HasSuffix(unit, ".mount") {
			continue
		}
		writeFile(t, h.at(filepath.Join("/lib/systemd/system", unit)), h2)
	}
	install(t, h)
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--recursive-errors=no", "--man=no", "--generators=no", "--root="+h.Root, guardUnit, "docker.service", "docker.socket").CombinedOutput()
	if err != nil || strings.Contains(string(out), "nknown") || strings.Contains(string(out), "gnor") {
		t.Errorf("%v: %s", err, out)
	}
	enabled, err := exec.CommandContext(t.Context(), "systemctl", "--root="+h.Root, "is-enabled", guardUnit).CombinedOutput()
	if err != nil || strings.TrimSpace(string(enabled)) != "enabled" {
		t.Errorf("%v: %s", err, enabled)
	}
}
