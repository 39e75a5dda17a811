//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/miekg/pkcs11"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

const goodPIN = "4711"

// lacking skips for want of what, but fails where everything must run.
func lacking(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("%s is missing", what)
}

// softHSM returns the path of the real SoftHSM2 module and makes its store a
// folder of this test's own.
func softHSM(t testing.TB) string {
	t.Helper()
	module := os.Getenv("PLIMSOLL_PKCS11_MODULE")
	if module == "" {
		module = first(usual[0].names)
	}
	if module == "" {
		lacking(t, "SoftHSM2 (libsofthsm2.so, or PLIMSOLL_PKCS11_MODULE)")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	return module
}

// addToken initialises a token in the test's store.
func addToken(t testing.TB, label string) {
	t.Helper()
	util := os.Getenv("PLIMSOLL_SOFTHSM2_UTIL")
	if util == "" {
		util = "softhsm2-util"
	}
	path, err := exec.LookPath(util)
	if err != nil {
		lacking(t, util+" (or PLIMSOLL_SOFTHSM2_UTIL)")
	}
	out, err := exec.CommandContext(t.Context(), path, "--init-token", "--free", "--label", label, "--so-pin", "123456", "--pin", goodPIN).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", util, err, out)
	}
}

// newProvider returns a provider over a fresh store with the tokens labels.
func newProvider(t testing.TB, labels ...string) *Provider {
	t.Helper()
	module := softHSM(t)
	for _, label := range labels {
		addToken(t, label)
	}
	return New(Config{Module: module, PIN: goodPIN})
}

func generate(t *testing.T, p *Provider, uri string, algorithm key.Algorithm) *signer {
	t.Helper()
	s, err := p.Generate(t.Context(), uri, algorithm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, s) })
	return s.(*signer)
}

func open(t *testing.T, p *Provider, uri string) *signer {
	t.Helper()
	s, err := p.Open(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, s) })
	return s.(*signer)
}

func closed(t *testing.T, s key.Signer) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// rawKey makes a P-256 key with further attributes of the private half, past
// everything that Generate demands.
func rawKey(t *testing.T, p *Provider, label, id string, private ...*pkcs11.Attribute) object {
	t.Helper()
	u, err := parseURI("pkcs11:")
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.open(t.Context(), u, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.login(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	common := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(id)),
	}
	public := append(copyOf(common), pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, paramsP256), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false))
	_, handle, err := s.ctx().GenerateKeyPair(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil)},
		public, append(append(copyOf(common), pkcs11.NewAttribute(pkcs11.CKA_SIGN, true)), private...))
	if err != nil {
		t.Fatal(err)
	}
	return object{handle: handle, label: label, id: []byte(id)}
}

func copyOf(a []*pkcs11.Attribute) []*pkcs11.Attribute { return append([]*pkcs11.Attribute(nil), a...) }

// typist answers prompts in order and keeps what it was told.
type typist struct {
	answers []string
	asked   []string
	told    []string
}

func (p *typist) Secret(_ context.Context, prompt string) ([]byte, error) {
	p.asked = append(p.asked, prompt)
	if len(p.answers) == 0 {
		return nil, fault.Errorf(fault.Unavailable, "nobody to ask")
	}
	answer := p.answers[0]
	p.answers = p.answers[1:]
	return bytes.Clone([]byte(answer)), nil
}

func (p *typist) Notify(message string) { p.told = append(p.told, message) }
