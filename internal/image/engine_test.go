package image_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
)

// needs ends the test because something is missing, which in CI is a failure.
func needs(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must have %s", what)
	}
	t.Skipf("needs %s", what)
}

// shortFolder returns a folder whose name is short enough for a socket in it.
func shortFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "eng") //nolint:usetesting // whose names are too long for sockets
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// daemon starts a program that makes a socket, and ends it with the test.
func daemon(t testing.TB, socket string, args ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		needs(t, "root, to start "+args[0])
	}
	program, err := exec.LookPath(args[0])
	if err != nil {
		needs(t, args[0])
	}
	var log bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args[1:]...) // #nosec G204 -- of this file
	cmd.Stdout, cmd.Stderr = &log, &log
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	for range 600 {
		if c, err := new(net.Dialer).DialContext(t.Context(), "unix", socket); err == nil {
			_ = c.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s: %v\n%s", args[0], err, log.Bytes())
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("%s did not make %s", args[0], socket)
}

func onSocket(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
}

func TestDockerEngine(t *testing.T) {
	dir := shortFolder(t)
	socket := filepath.Join(dir, "s")
	daemon(t, socket, "dockerd", "--data-root="+dir+"/data", "--exec-root="+dir+"/exec", "--pidfile="+dir+"/pid", "--host=unix://"+socket,
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--storage-driver=vfs")
	files, _ := legacyArchive(t)
	load(t, onSocket(socket), tarOf(t, files...))

	o := &image.Opener{Engine: "unix://" + socket}
	byName, err := o.Open(t.Context(), "docker:app:1", "")
	must(t, err)
	walkAll(t, byName)
	byID, err := o.Open(t.Context(), "docker:"+string(byName.Config.Digest), "")
	must(t, err)
	if byID.Manifest.Digest != byName.Manifest.Digest || byName.Loose() || !byName.Reference.IsZero() {
		t.Errorf("%+v and %+v", byName, byID)
	}
	if _, err := o.Open(t.Context(), "docker:none", ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("no such image: %v", err)
	}
	n, err := image.ParseName("docker:app:1")
	must(t, err)
	if _, err := o.Copy(t.Context(), n, image.Name{Scheme: image.Layout, Path: filepath.Join(dir, "layout")}, ""); err != nil {
		t.Errorf("copy: %v", err)
	}
}

// load puts an archive into an engine.
func load(t *testing.T, client *http.Client, archive []byte) {
	t.Helper()
	defer client.CloseIdleConnections()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://docker/images/load", bytes.NewReader(archive))
	must(t, err)
	q.Header.Set("Content-Type", "application/x-tar")
	answer, err := client.Do(q)
	must(t, err)
	defer func() { _ = answer.Body.Close() }()
	if b, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("load: %s %s, %v", answer.Status, b, err)
	}
}

// liar is an engine that answers as it likes.
func liar(t *testing.T, answer http.HandlerFunc) *image.Opener {
	t.Helper()
	socket := filepath.Join(shortFolder(t), "s")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	must(t, err)
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: answer, ReadHeaderTimeout: time.Minute}}
	s.Start()
	t.Cleanup(s.Close)
	return &image.Opener{Engine: "unix://" + socket}
}

func TestAnEngineThatLies(t *testing.T) {
	files, _ := legacyArchive(t)
	archive := tarOf(t, files...)
	says := func(id string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/json") {
				fmt.Fprintf(w, `{"Id":%q}`, id)
				return
			}
			_, _ = w.Write(archive)
		}
	}
	other := string(digest.FromString("other"))
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   fault.Kind
	}{
		"another image": {says(other), fault.Untrusted},
		"no digest":     {says("../x"), fault.Invalid},
		"no JSON":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, fault.Invalid},
		"endless":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 9<<20)) }, fault.Invalid},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, fault.Unavailable},
		"broken": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"message":"no disk"}`, http.StatusInternalServerError)
		}, fault.Unavailable},
		"cut": {func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/json") {
				says(other)(w, r)
				return
			}
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write(archive)
		}, fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := liar(t, tt.answer).Open(t.Context(), "docker:app:1", ""); !fault.Is(err, tt.want) {
				t.Errorf("got %v, want it %v", err, tt.want)
			}
		})
	}
}

func TestAnEngineThatIsNotThere(t *testing.T) {
	for engine, want := range map[string]fault.Kind{
		"unix:///none/docker.sock": fault.Unavailable, "tcp://127.0.0.1:2375": fault.Usage, "unix://": fault.Usage,
	} {
		_, err := (&image.Opener{Engine: engine}).Open(t.Context(), "docker:app", "")
		if !fault.Is(err, want) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v, hint %q", engine, err, fault.HintOf(err))
		}
	}
}
