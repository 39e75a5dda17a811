package shim_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNetworkHook calls our hook as a runtime does, with an engine that answers one
// thing or another: only one that says "success" is believed, and whatever else it
// does its own program is started, with the container's state.
func TestNetworkHook(t *testing.T) {
	h := newHost(t)
	engines := filepath.Join(h.dir, "exec/libnetwork")
	h.must(os.MkdirAll(engines, 0o700))
	script := fmt.Sprintf("#!%s sh\necho own: \"$@\"\n%[1]s cat\nexit 3\n", busybox(t))
	h.must(os.WriteFile(filepath.Join(h.dir, "own"), []byte(script), 0o755))
	const state = `{"ociVersion":"1.0.2","id":"c0ffee","status":"creating","pid":4711,"bundle":"/b"}`
	heard := make(chan string, 1)
	answer := func(socket, text string) {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(engines, socket+".sock"))
		h.must(err)
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 1024)
			n, _ := c.Read(b)
			heard <- string(b[:n])
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}()
	}
	answer("a1", "success")
	answer("a2", "no such sandbox")
	answer("a3", "")
	for controller, ours := range map[string]bool{"a1": true, "a2": false, "a3": false, "a4": false} {
		out, err := h.callIn([]byte(state), "network-hook", filepath.Join(h.dir, "own"), "libnetwork-setkey", "-exec-root="+filepath.Join(h.dir, "exec"), "c0ffee", controller)
		if ours && (err != nil || out != "") {
			t.Errorf("%s: %v: %s", controller, err, out)
		}
		if want := "own: -exec-root=" + h.dir + "/exec c0ffee " + controller + "\n" + state; !ours && (err == nil || out != want) {
			t.Errorf("%s: %v: %s", controller, err, out)
		}
		if controller == "a4" {
			continue
		}
		if got := <-heard; got != `{"ContainerID":"c0ffee","Key":"/proc/4711/ns/net"}` {
			t.Errorf("%s: said %s", controller, got)
		}
	}
	out, err := h.callIn([]byte(`{"id":"c0ffee"}`), "network-hook", filepath.Join(h.dir, "own"), "libnetwork-setkey", "-exec-root="+filepath.Join(h.dir, "exec"), "c0ffee", "a1")
	if err == nil || !strings.HasPrefix(out, "own:") {
		t.Errorf("without a process: %v: %s", err, out)
	}
	if out, err := h.callIn([]byte(state), "network-hook"); err == nil || !strings.Contains(out, "not for people") {
		t.Errorf("typed: %v: %s", err, out)
	}
}
