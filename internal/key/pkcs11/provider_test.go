//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/pkcs11"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

func TestGenerateThenOpen(t *testing.T) {
	for _, algorithm := range []key.Algorithm{key.ECDSAP256, key.Ed25519} {
		t.Run(string(algorithm), func(t *testing.T) {
			p := newProvider(t, "release")
			made := generate(t, p, "pkcs11:token=release;object=root", algorithm)
			info := made.Info()
			if info.Algorithm != algorithm || info.Extractable == nil || *info.Extractable || !strings.HasPrefix(info.Where, "token release, serial ") {
				t.Errorf("Info: %+v", info)
			}
			again := open(t, p, info.URI)
			if diff := cmp.Diff(info, again.Info()); diff != "" {
				t.Error(diff)
			}
			for _, message := range []string{"", "root.json", strings.Repeat("x", 1<<20)} {
				sig, err := again.Sign(t.Context(), []byte(message))
				if err != nil {
					t.Fatal(err)
				}
				if err := key.Verify(made.Public(), []byte(message), sig); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// The library outlives its users, but is finalised after the last one and
// initialised anew for the next.
func TestModuleIsSharedAndFinalised(t *testing.T) {
	p := newProvider(t, "release")
	first := generate(t, p, "pkcs11:object=one", key.ECDSAP256)
	second := generate(t, p, "pkcs11:object=two", key.ECDSAP256)
	if len(p.modules) != 1 {
		t.Errorf("%d modules", len(p.modules))
	}
	closed(t, first)
	if _, err := second.Sign(t.Context(), []byte("x")); err != nil {
		t.Errorf("closing one key logged the other out: %v", err)
	}
	closed(t, second)
	if len(p.modules) != 0 {
		t.Errorf("%d modules are left", len(p.modules))
	}
	if _, err := second.Sign(t.Context(), []byte("x")); err == nil {
		t.Error("a closed key signed")
	}
	if _, err := open(t, p, "pkcs11:object=one").Sign(t.Context(), []byte("x")); err != nil {
		t.Error(err)
	}
}

func TestPrivateKeyCannotBeRead(t *testing.T) {
	p := newProvider(t, "release")
	k := generate(t, p, "pkcs11:object=root", key.ECDSAP256)
	s := k.session
	_, err := s.ctx().GetAttributeValue(s.handle, k.object.handle, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
	if code(err) != pkcs11.CKR_ATTRIBUTE_SENSITIVE {
		t.Errorf("reading CKA_VALUE: %v", err)
	}
	if err := s.ctx().SetAttributeValue(s.handle, k.object.handle, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true)}); err == nil {
		t.Error("the key was made extractable afterwards")
	}
}

func TestExtractableKeyIsNotConfirmed(t *testing.T) {
	p := newProvider(t, "release")
	o := rawKey(t, p, "soft", "1", pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true), pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false))
	k := open(t, p, "pkcs11:object=soft")
	if e := k.Info().Extractable; e == nil || !*e {
		t.Errorf("Extractable = %v", e)
	}
	_, err := k.session.confirm(t.Context(), k.uri, object{handle: k.object.handle, label: o.label, id: o.id})
	if !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "CKA_SENSITIVE") {
		t.Errorf("confirm: %v", err)
	}
}

func TestOpenSSLVerifies(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		lacking(t, "openssl")
	}
	p := newProvider(t, "release")
	k := generate(t, p, "pkcs11:object=root", key.ECDSAP256)
	sig, err := k.Sign(t.Context(), []byte("root.json"))
	if err != nil {
		t.Fatal(err)
	}
	pub, err := key.MarshalPublic(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, b := range map[string][]byte{"pub": pub, "sig": sig, "msg": []byte("root.json")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "dgst", "-sha256", "-verify", "pub", "-signature", "sig", "msg")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	p := newProvider(t, "release", "spare")
	generate(t, p, "pkcs11:token=release;object=root", key.ECDSAP256)
	tests := []struct {
		uri        string
		kind       fault.Kind
		says, hint string
	}{
		{"pkcs11:token=other;object=root", fault.Unavailable, `there is token "release"`, "plimsoll key list pkcs11:"},
		{"pkcs11:token=release;object=rot", fault.NotFound, "object=root;type=private", "plimsoll key generate"},
		{"pkcs11:token=spare;object=root", fault.NotFound, "it holds none", "plimsoll key generate"},
		{"pkcs11:object=root", fault.Invalid, "2 tokens match", "say which: pkcs11:token="},
		{"pkcs11:token=release;serial=0;object=root", fault.Unavailable, "no token matches", ""},
		{"pkcs11:token=release;slot-id=4000000000", fault.Unavailable, "no token matches", ""},
		{"pkcs11:model=Nitro;object=root", fault.Unavailable, "no token matches", ""},
		{"pkcs11:?module-path=/nowhere/x.so", fault.Unavailable, "no PKCS#11 module", "PLIMSOLL_PKCS11_MODULE"},
		{"pkcs11:?module-name=nowhere", fault.Unavailable, "nowhere", "module-path="},
		{"pkcs11:tokn=release", fault.Invalid, "unknown attribute", "known here"},
	}
	for _, tt := range tests {
		t.Run(tt.uri, func(t *testing.T) {
			_, err := p.Open(t.Context(), tt.uri)
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("Open: %v (%v, hint %q)", err, fault.KindOf(err), fault.HintOf(err))
			}
		})
	}
	if len(p.modules) != 1 {
		t.Errorf("%d modules in use, want that of the one open key", len(p.modules))
	}
}

func TestModulesThatAreNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "module.so")
	if err := os.WriteFile(path, []byte("not ELF"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Config{Module: path}).Open(t.Context(), "pkcs11:object=root")
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "cannot be loaded") || !strings.Contains(fault.HintOf(err), "ldd") {
		t.Errorf("not a library: %v", err)
	}
	if err := os.Chmod(path, 0o622); err != nil {
		t.Fatal(err)
	}
	_, err = New(Config{Module: path}).Open(t.Context(), "pkcs11:object=root")
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "others can change it") {
		t.Errorf("writable by all: %v", err)
	}
	module := softHSM(t)
	t.Setenv("SOFTHSM2_CONF", "/nowhere/softhsm2.conf")
	_, err = New(Config{Module: module}).Open(t.Context(), "pkcs11:object=root")
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.HintOf(err), "SOFTHSM2_CONF") {
		t.Errorf("without a configuration: %v", err)
	}
}

func TestTwoKeysOfOneLabel(t *testing.T) {
	p := newProvider(t, "release")
	rawKey(t, p, "root", "1")
	rawKey(t, p, "root", "2")
	_, err := p.Open(t.Context(), "pkcs11:object=root")
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "id=%31") || !strings.Contains(err.Error(), "id=%32") {
		t.Errorf("Open: %v", err)
	}
	open(t, p, "pkcs11:object=root;id=%32")
	for _, uri := range []string{"pkcs11:object=root", "pkcs11:object=new;id=%31"} {
		if _, err := p.Generate(t.Context(), uri, key.ECDSAP256); !fault.Is(err, fault.Conflict) {
			t.Errorf("Generate %s: %v", uri, err)
		}
	}
	if _, err := p.Generate(t.Context(), "pkcs11:token=release", key.ECDSAP256); !fault.Is(err, fault.Invalid) {
		t.Errorf("Generate without a label: %v", err)
	}
}

func TestList(t *testing.T) {
	p := newProvider(t, "release", "spare")
	k1 := generate(t, p, "pkcs11:token=release;object=one", key.ECDSAP256)
	k2 := generate(t, p, "pkcs11:token=spare;object=two", key.Ed25519)
	one, two := k1.Info(), k2.Info()
	closed(t, k1) // which logs out, so that what follows sees what anybody may
	closed(t, k2)
	shy := New(Config{Module: p.config.Module}) // has no PIN
	got, err := shy.List(t.Context(), "pkcs11:")
	if err != nil {
		t.Fatal(err)
	}
	one.Extractable, two.Extractable = nil, nil // not told without a PIN
	byWhere := map[string]key.Info{}
	for _, info := range got {
		byWhere[info.Where] = info
	}
	if diff := cmp.Diff(map[string]key.Info{one.Where: one, two.Where: two}, byWhere); diff != "" {
		t.Error(diff)
	}
	if _, err := shy.List(t.Context(), "pkcs11:token=none"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("List of a token that is not there: %v", err)
	}
}

func TestAlwaysAuthenticate(t *testing.T) {
	who := &typist{answers: []string{goodPIN, goodPIN, goodPIN, "0000"}}
	p := newProvider(t, "release")
	p.config.PIN, p.config.Prompter = "", who
	rawKey(t, p, "root", "1", pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true), pkcs11.NewAttribute(pkcs11.CKA_ALWAYS_AUTHENTICATE, true))
	k := open(t, p, "pkcs11:object=root")
	if _, err := k.Sign(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if len(who.asked) != 3 || !strings.Contains(who.asked[2], "for every signature") {
		t.Errorf("asked %q", who.asked)
	}
	if _, err := k.Sign(t.Context(), []byte("x")); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "wrong PIN") {
		t.Errorf("Sign with a wrong PIN: %v", err)
	}
}

func TestTokenThatIsWipedWhileItIsOpen(t *testing.T) {
	p := newProvider(t, "release")
	k := generate(t, p, "pkcs11:object=root", key.ECDSAP256)
	tokens, err := filepath.Glob(filepath.Join(filepath.Dir(os.Getenv("SOFTHSM2_CONF")), "*-*-*"))
	if err != nil || len(tokens) != 1 {
		t.Fatalf("tokens: %v, %v", tokens, err)
	}
	if err := os.RemoveAll(tokens[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sign(t.Context(), []byte("x")); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), `token "release"`) {
		t.Errorf("Sign: %v", err)
	}
}

func TestEndedContext(t *testing.T) {
	p := newProvider(t, "release")
	k := generate(t, p, "pkcs11:object=root", key.ECDSAP256)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Sign(ctx, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Sign: %v", err)
	}
	if _, err := p.Generate(ctx, "pkcs11:object=other", key.ECDSAP256); !errors.Is(err, context.Canceled) {
		t.Errorf("Generate: %v", err)
	}
	if _, err := k.Sign(t.Context(), []byte("x")); err != nil {
		t.Errorf("a call that never began spoilt the module: %v", err)
	}
}

// A call that hangs in C is left behind, and nothing enters the module again.
func TestCallThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &module{path: "x.so", gone: make(chan struct{})}
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		told, hang := 0, make(chan struct{})
		err := m.call(ctx, func() { told++ }, func() error { <-hang; return nil })
		if !errors.Is(err, context.DeadlineExceeded) || told != 1 {
			t.Errorf("call: %v, told %d times", err, told)
		}
		err = m.call(t.Context(), func() {}, func() error { t.Error("entered"); return nil })
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("second call: %v", err)
		}
		close(hang)
	})
}

func TestModuleIsFoundByItself(t *testing.T) {
	module := softHSM(t)
	if first(usual[0].names) == "" {
		lacking(t, "SoftHSM2 in a usual place")
	}
	addToken(t, "release")
	p := New(Config{PIN: goodPIN})
	generate(t, p, "pkcs11:token=release;object=root", key.ECDSAP256)
	for _, query := range []string{"module-name=softhsm2", "module-name=libsofthsm2", "module-path=" + module} {
		uri := "pkcs11:token=release;object=root?" + query
		if got := open(t, p, uri).Info().URI; !strings.HasSuffix(got, "?"+query) {
			t.Errorf("the URI %q does not open the key again", got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	p := newProvider(t, "release")
	closed(t, generate(t, p, "pkcs11:object=root", key.ECDSAP256))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			s, err := p.Open(t.Context(), "pkcs11:object=root")
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Sign(t.Context(), []byte("x")); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if len(p.modules) != 0 {
		t.Errorf("%d modules are left", len(p.modules))
	}
}

func BenchmarkSign(b *testing.B) {
	p := newProvider(b, "release")
	s, err := p.Generate(b.Context(), "pkcs11:object=root", key.ECDSAP256)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Sign(b.Context(), []byte("root.json")); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}
