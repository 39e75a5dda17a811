package engine_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"plimsoll/internal/engine"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

// TestPull pulls by the digest that the guard names, whatever the tag says in the
// registry by then, and keeps names and teams apart.
func TestPull(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	guard := newMemory()
	h := open(t, anEngine(t), guard)
	direct := h.direct(t)
	name := host + "/app/one:1"
	direct("tag", "busybox", name)
	direct("push", name)
	good := digestOf(t, server.URL, "app/one", "1")
	guard.name(func(string) ref.Digest { return good })
	wanted := direct("inspect", "-f", "{{.Id}}", name)
	direct("rmi", name)

	other := h.must(t, "alpha", "run", "-d", "busybox", "sh", "-c", "echo other > /other; sleep 60")
	moved := host + "/app/one:moved"
	direct("commit", other, moved)
	direct("tag", moved, name)
	direct("push", name)
	direct("rmi", name, moved)
	h.must(t, "alpha", "rm", "-f", other)
	if now := digestOf(t, server.URL, "app/one", "1"); now == good {
		t.Fatal("the registry's tag was not moved")
	}

	h.must(t, "alpha", "pull", name)
	t.Cleanup(func() { direct("rmi", "-f", name) })
	if got := direct("inspect", "-f", "{{.Id}}", name); got != wanted {
		t.Errorf("pulled %s, the guard named %s", got, wanted)
	}
	if got := guard.remembered(); len(got) != 1 || got[0].Digest != good || got[0].Config != ref.Digest(wanted) || got[0].Reference != name {
		t.Errorf("remembered: %+v", got)
	}
	h.must(t, "alpha", "run", "--rm", name, "true")
	if out, err := h.docker(t, "beta", "inspect", name); err == nil {
		t.Errorf("a team that has not pulled it sees it: %s", out)
	}
	for _, tag := range []string{"alpha", "beta"} {
		if out, err := h.docker(t, tag, "import", "/dev/null", name); err == nil {
			t.Errorf("%s put a registry's name on another image: %s", tag, out)
		}
	}
	h.must(t, "beta", "pull", name)
	h.must(t, "beta", "run", "--rm", name, "true")
	h.must(t, "beta", "rmi", name)
	h.must(t, "alpha", "inspect", name)
	if out, err := h.docker(t, "alpha", "pull", host+"/app/evil:1"); err == nil || !strings.Contains(out, "nobody signed it") {
		t.Errorf("an image that is denied: %v %s", err, out)
	}
	if out, err := h.docker(t, "alpha", "pull", "-a", host+"/app/one"); err == nil {
		t.Errorf("all tags at once: %s", out)
	}
	guard.name(func(string) ref.Digest { return "sha256:" + ref.Digest(strings.Repeat("0", 64)) })
	if out, err := h.docker(t, "alpha", "pull", name); err == nil {
		t.Errorf("a digest that the registry does not have: %s", out)
	}
}

func digestOf(t testing.TB, server, repository, tag string) ref.Digest {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server+"/v2/"+repository+"/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	d, err := ref.ParseDigest(resp.Header.Get("Docker-Content-Digest"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCertificates serves over TLS: the caller is the certificate's subject, and
// nobody without one is served.
func TestCertificates(t *testing.T) {
	guard := newMemory()
	guard.teams = []string{"alpha"}
	h := open(t, anEngine(t), guard)
	authority, serverCert, clientCert := certificates(t)
	p, err := engine.New(engine.Config{Engine: h.socket, Guard: guard})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- p.ServeTLS(ctx, l, "", &tls.Config{Certificates: []tls.Certificate{serverCert}, ClientCAs: authority})
	}()
	_, _, foreign := certificates(t)
	for what, c := range map[string][]tls.Certificate{"verified": {clientCert}, "another authority's": {foreign}, "missing": nil} {
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{Certificates: c, RootCAs: authority}}}
		for uri, want := range map[string]int{"containers/json": 200, "plugins": 403} {
			resp, err := client.Get("https://" + l.Addr().String() + "/v1.41/" + uri)
			if what != "verified" {
				if err == nil {
					_ = resp.Body.Close()
					t.Errorf("a certificate that is %s was served", what)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: %d, want %d", uri, resp.StatusCode, want)
			}
		}
		client.CloseIdleConnections()
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop = context.WithCancel(t.Context())
	go func() { done <- p.Serve(ctx, plain, "alpha") }()
	resp, err := http.Get("http://" + plain.Addr().String() + "/v1.41/containers/json")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("TCP without TLS: %d", resp.StatusCode)
	}
	stop()
	<-done
	guard.mu.Lock()
	defer guard.mu.Unlock()
	for _, d := range guard.records {
		if d.Outcome == verdict.Denied && d.Caller == "CN=alice,O=team-alpha" {
			return
		}
	}
	t.Error("no record names the certificate's subject")
}

func certificates(t testing.TB) (*x509.CertPool, tls.Certificate, tls.Certificate) {
	t.Helper()
	make1 := func(subject pkix.Name, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, ca bool) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: ca, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		if parent == nil {
			parent, parentKey = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		return c, key
	}
	root, rootKey := make1(pkix.Name{CommonName: "root"}, nil, nil, true)
	server, serverKey := make1(pkix.Name{CommonName: "server"}, root, rootKey, false)
	client, clientKey := make1(pkix.Name{CommonName: "alice", Organization: []string{"team-alpha"}}, root, rootKey, false)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool, tls.Certificate{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}, tls.Certificate{Certificate: [][]byte{client.Raw}, PrivateKey: clientKey}
}
