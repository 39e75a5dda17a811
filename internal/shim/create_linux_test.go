package shim_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"plimsoll/internal/seal/protocol"
)

func TestRunFromAFolder(t *testing.T) {
	h := newHost(t)
	mounts := h.mounts()
	b := h.container(h.image(), "cat /proc/self/uid_map; id -u; grep Cap /proc/self/status; touch /made; hostname")
	out, err := b.run()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	q := h.asked(protocol.Create)
	if len(q) != 1 || q[0].ID != b.id || q[0].State != h.root {
		t.Errorf("asked %+v", q)
	}
	if !strings.Contains(out, "65536") || !strings.Contains(out, "\n0\n") || strings.Contains(out, "4294967295") {
		t.Errorf("not in a user namespace of its own: %s", out)
	}
	owner(t, filepath.Join(h.image(), "made"), 0)
	h.clean(mounts)
	if len(h.asked(protocol.Deleted)) != 1 {
		t.Error("the guard was not told of the end")
	}
}

func owner(t testing.TB, path string, uid uint32) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Error(err)
	} else if st.Uid != uid {
		t.Errorf("%q belongs to %d, not %d", path, st.Uid, uid)
	}
}

func TestRunFromLayers(t *testing.T) {
	h := newHost(t)
	merged, upper := h.overlay("c", 16, "")
	mounts := h.mounts()
	b := h.container(merged, "ls -d /layer*; touch /made; chmod 4755 /made; echo x >/layer3; rm /layer4; cat /proc/mounts")
	out, err := b.run()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(out, "/layer0\n") || !strings.Contains(out, "/layer15\n") || strings.Contains(out, h.dir) {
		t.Errorf("layers are missing, or the host's paths are told: %s", out)
	}
	owner(t, filepath.Join(upper, "made"), 0)
	owner(t, filepath.Join(upper, "layer4"), 0)
	if b, err := os.ReadFile(filepath.Join(upper, "layer3")); err != nil || string(b) != "x\n" {
		t.Errorf("written %q, %v", b, err)
	}
	q := h.asked(protocol.Create)[0]
	if len(q.Layers) != 17 || q.Layers[16] != h.image() || q.Upper != upper {
		t.Errorf("asked of %q and %q", q.Layers, q.Upper)
	}
	h.clean(mounts)
}

func TestErrorsReachTheEngine(t *testing.T) {
	h := newHost(t)
	mounts := h.mounts()
	h.refuse(errRefused)
	b := h.container(h.image(), "echo started")
	out, err := b.run()
	if err == nil || strings.Contains(out, "started\n") {
		t.Fatalf("a refused container ran: %s", out)
	}
	text, err := os.ReadFile(h.log())
	if err != nil {
		t.Fatal(err)
	}
	var line struct{ Level, Msg, Time string }
	if err := json.Unmarshal(text, &line); err != nil || line.Level != "error" || line.Time == "" || !strings.Contains(line.Msg, "nobody signed it") {
		t.Errorf("logged %s, %v", text, err)
	}
	h.clean(mounts)
}
