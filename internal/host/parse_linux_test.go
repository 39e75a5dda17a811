package host

import (
	"encoding/json"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPatchDaemon(t *testing.T) {
	for _, tt := range []struct{ before, host, want string }{
		{"", "", `{"runtimes":{"plimsoll":{"path":"/r"}},"default-runtime":"plimsoll","authorization-plugins":["plimsoll"]}`},
		{`{"default-runtime":"runc","x":1.0}`, "unix:///s", `{"default-runtime":"plimsoll","x":1.0,"runtimes":{"plimsoll":{"path":"/r"}},"authorization-plugins":["plimsoll"],"hosts":["unix:///s"]}`},
		{`{"authorization-plugins":["a"],"runtimes":{"k":{"runtimeArgs":["-x"]}}}`, "", `{"authorization-plugins":["a","plimsoll"],"runtimes":{"k":{"runtimeArgs":["-x"]},"plimsoll":{"path":"/r"}},"default-runtime":"plimsoll"}`},
	} {
		got, err := patchDaemon([]byte(tt.before), "/r", tt.host)
		must(t, err)
		o, err := parseObject(got)
		must(t, err)
		var flat strings.Builder
		must(t, compact(&flat, o.compact()))
		if flat.String() != tt.want {
			t.Errorf("%s became %s", tt.before, flat.String())
		}
	}
}

func compact(w *strings.Builder, b []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return err
	}
	for _, r := range string(raw) {
		if !strings.ContainsRune(" \n\t", r) {
			w.WriteRune(r)
		}
	}
	return nil
}

// FuzzDaemon patches and undoes: what was there before is there after.
func FuzzDaemon(f *testing.F) {
	for _, s := range []string{"", "{}", oddConfig, `{"hosts":[],"default-runtime":"runc"}`, `{"authorization-plugins":[],"runtimes":{}}`, `{"a":1,"A":2}`, `{"runtimes":null}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		patched, err := patchDaemon([]byte(s), "/r", "unix://"+EngineSocket)
		if err != nil {
			return
		}
		d, err := parseDaemon(patched)
		if err != nil || d.Default != name || d.Runtimes[name].Path != "/r" || len(d.Hosts) != 1 {
			t.Fatalf("%q became %s, %v", s, patched, err)
		}
		before, _ := parseDaemon([]byte(s))
		if _, ok := before.Runtimes[name]; ok || before.Default == name {
			return // a survey refuses it
		}
		if slices.Contains(before.Plugins, name) {
			return
		}
		undone, err := unpatchDaemon(patched, []byte(s))
		must(t, err)
		var was, is map[string]any
		if strings.TrimSpace(s) == "" {
			s = "{}"
		}
		must(t, json.Unmarshal([]byte(s), &was))
		must(t, json.Unmarshal(undone, &is))
		if !reflect.DeepEqual(was, is) {
			t.Errorf("%q became %s and then %s", s, patched, undone)
		}
	})
}

func TestArgs(t *testing.T) {
	h := newTree(t, withSystemd(map[string]string{
		"/etc/default/docker":                             "# x\nDOCKER_OPTS=\"--dns 192.0.2.1 --label 'a b'\"\n",
		"/etc/systemd/system/docker.service.d/a.conf":     "[Service]\nEnvironment=\"EXTRA=--debug\" ONE=1\n",
		"/usr/lib/systemd/system/docker.service.d/b.conf": "[Service]\nExecStart=\nExecStart=-/usr/sbin/dockerd \\\n  # not this\n  -H fd:// $DOCKER_OPTS ${EXTRA} \"--x=y z\"\n",
		"/lib/systemd/system/docker.service.d/a.conf":     "[Service]\nExecStart=hidden\n",
	}))
	u, err := h.unit("docker.service")
	must(t, err)
	got, err := h.args(u)
	must(t, err)
	want := []string{"/usr/sbin/dockerd", "-H", "fd://", "--dns", "192.0.2.1", "--label", "a b", "--debug", "--x=y z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := flag([]string{"--host=a", "-H", "b", "-Hc", "-H=d", "--host", "e", "--hostx=f", "-H"}, "host", "H"); !cmp.Equal(got, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("%q", got)
	}
	if u, err := h.unit("none.service"); u != nil || err != nil {
		t.Errorf("%v, %v", u, err)
	}
}

func FuzzUnit(f *testing.F) {
	f.Add(debianService)
	f.Add("[A]\na=b\\\n#c\nd='e f\n=\n[")
	f.Fuzz(func(t *testing.T, s string) {
		u := &unit{settings: parseUnit([]byte(s))}
		for _, x := range u.settings {
			if strings.ContainsAny(x.value, "\n") || x.key != strings.TrimSpace(x.key) {
				t.Errorf("%+v", x)
			}
			for _, w := range words(x.value) {
				_ = flag([]string{w}, "host", "H")
			}
		}
	})
}

func TestMountOf(t *testing.T) {
	const table = `21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 21 254:1 / /var/lib rw - xfs /dev/vdb rw,prjquota
31 21 254:2 / /var/lib/dock rw shared:3 master:1 - ext4 /dev/vdc rw
broken
`
	for path, want := range map[string]string{"/var/lib/docker": "/var/lib", "/srv": "/", "/var/lib/dock": "/var/lib/dock", "/var/library": "/"} {
		where, options := mountOf(table, path)
		if where != want || strings.Contains(options, "prjquota") != (want == "/var/lib") {
			t.Errorf("%s: %s %s", path, where, options)
		}
	}
}

func TestNotify(t *testing.T) {
	if err := notify(t.Context(), "", "READY=1"); err != nil {
		t.Error(err)
	}
	socket := filepath.Join(t.TempDir(), "n")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket})
	must(t, err)
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	must(t, Ready(t.Context()))
	b := make([]byte, 100)
	if n, err := l.Read(b); err != nil || string(b[:n]) != "READY=1" {
		t.Errorf("%q, %v", b[:n], err)
	}
	if err := notify(t.Context(), socket+"x", "READY=1"); err == nil {
		t.Error("nobody was told")
	}
}
