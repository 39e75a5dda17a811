package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asProgram makes the test binary the program itself.
const asProgram = "TUFCLIENT_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process runs the program in the folder dir, at the time now of a clock that only
// the command date shows, and returns its exit code and what it says.
func process(t *testing.T, dir string, now time.Time, args ...string) (code int, stderr string) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	script := fmt.Sprintf("#!%s\ntest \"$1\" = +%%s && echo %d\n", sh, now.Unix())
	if err := os.WriteFile(filepath.Join(bin, "date"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Dir, cmd.Stderr = dir, &said
	cmd.Env = []string{asProgram + "=1", "PATH=" + bin, "TZ=Pacific/Kiritimati"} // no home, no proxy, far from UTC
	err = cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

// TestProcess: the program as the suite starts it: by itself, somewhere, with
// hardly an environment. It ends with 0 or 1 and tells why on standard error.
func TestProcess(t *testing.T) {
	r := newRepo(t)
	r.signed["timestamp"]["expires"] = date(day)
	r.add("targets", "dir/file", "content")
	r.publish("targets", "snapshot", "timestamp")
	c := &client{TB: t, repo: r, meta: t.TempDir() + "/home/metadata", targets: t.TempDir()}
	home := filepath.Dir(c.meta)
	c.must(os.Mkdir(home, 0o700))
	c.must(os.WriteFile(filepath.Join(home, "initial_root.json"), r.files["root"][0], 0o600))
	c.must(os.Symlink("metadata", filepath.Join(home, "link")))
	download := []string{"--target-name", "dir/file", "--target-dir", c.targets, "--target-base-url", r.url + "/targets/", "download"}
	for _, step := range []struct {
		name string
		dir  string
		now  time.Time
		args []string
		code int
		said string
	}{
		{"nothing", home, today, nil, 1, "--metadata-dir is missing"},
		{"no root", home, today, []string{"--metadata-dir", "metadata", "--metadata-url", r.url + "/metadata/", "refresh"}, 1, "no root to start from"},
		{"init", home, today, []string{"--metadata-dir", "metadata", "init", "initial_root.json"}, 0, ""},
		{"refresh", "/", today, []string{"--metadata-url", r.url + "/metadata/", "--metadata-dir", c.meta, "refresh"}, 0, ""},
		{"no slash at the end", home, today, []string{"--metadata-url", r.url + "/metadata", "--metadata-dir", "./metadata/", "refresh"}, 0, ""},
		{"one argument each", home, today, []string{"--metadata-url=" + r.url + "/metadata", "--metadata-dir=link", "refresh"}, 0, ""},
		{"download", "/", today, append([]string{"--metadata-url", r.url + "/metadata/", "--metadata-dir", c.meta}, download...), 0, ""},
		{"last second", home, today.Add(day - time.Second), []string{"--metadata-url", r.url + "/metadata/", "--metadata-dir", "metadata", "refresh"}, 0, ""},
		{"too late", home, today.Add(day), []string{"--metadata-url", r.url + "/metadata/", "--metadata-dir", "metadata", "refresh"}, 1, "timestamp metadata expired"},
		{"too late to download", home, today.Add(day), append([]string{"--metadata-url", r.url + "/metadata/", "--metadata-dir", "metadata"}, download...), 1, "timestamp metadata expired"},
	} {
		code, said := process(t, step.dir, step.now, step.args...)
		if code != step.code || !strings.Contains(said, step.said) || (code == 0) != (said == "") {
			t.Errorf("%s: exit code %d, %q", step.name, code, said)
		}
	}
	c.has("content")
	c.trusts("root 1, snapshot 2, targets 2, timestamp 2")
}

// TestProcessOddURL: the suite serves each test below its name, quoted: the slash
// in it must stay one that is quoted.
func TestProcessOddURL(t *testing.T) {
	for _, name := range []string{"test_unusual_role_name[../delegatedrole]", "test_unusual_role_name[?]", "test_keytype_and_scheme[rsa/rsassa-pss-sha256]", "bin amount = 4, it's (100%)"} {
		quoted := strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
		r := newRepo(t)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			rest, found := strings.CutPrefix(req.RequestURI, "/"+quoted)
			if !found {
				t.Errorf("asked for %q", req.RequestURI)
			}
			inner, err := url.Parse(rest)
			if err != nil {
				t.Error(err)
				return
			}
			req.URL = inner
			r.ServeHTTP(w, req)
		}))
		t.Cleanup(server.Close)
		r.url = server.URL + "/" + quoted
		c := newClient(r)
		r.delegate("targets", "../delegatedrole", nil)
		r.add("../delegatedrole", "file", "content")
		r.publish("../delegatedrole", "targets", "snapshot", "timestamp")
		c.must(c.download("file"))
		c.has("content")
		if got := r.asked()[4]; got != "..%2Fdelegatedrole 1" {
			t.Errorf("asked for %q", got)
		}
	}
}

// TestProcessBrokenConnection: a server that hangs up instead of answering says
// nothing: that no newer root is there must be said.
func TestProcessBrokenConnection(t *testing.T) {
	for _, cut := range []string{"/metadata/2.root.json", "/metadata/timestamp.json", "/metadata/1.snapshot.json", "/metadata/1.targets.json"} {
		r := newRepo(t)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == cut {
				panic(http.ErrAbortHandler)
			}
			r.ServeHTTP(w, req)
		}))
		t.Cleanup(server.Close)
		r.url = server.URL
		c := newClient(r)
		c.refused(c.refresh(), filepath.Base(cut))
	}
}
