package file_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/key/file"
)

const passphrase = "correct horse"

var provider = file.New(file.Config{Passphrase: passphrase})

// typist answers prompts with what was laid down for it, in order.
type typist struct {
	answers []string
	asked   []string
}

func (p *typist) Secret(_ context.Context, prompt string) ([]byte, error) {
	p.asked = append(p.asked, prompt)
	if len(p.answers) == 0 {
		return nil, fault.Errorf(fault.Unavailable, "nobody to ask")
	}
	answer := p.answers[0]
	p.answers = p.answers[1:]
	return []byte(answer), nil
}

func newKey(t testing.TB, algorithm key.Algorithm) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "root.pem")
	s, err := provider.Generate(t.Context(), "file:"+path, algorithm)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGenerateThenOpen(t *testing.T) {
	for _, algorithm := range []key.Algorithm{key.ECDSAP256, key.Ed25519} {
		t.Run(string(algorithm), func(t *testing.T) {
			path := newKey(t, algorithm)
			s, err := provider.Open(t.Context(), "FILE://"+path)
			if err != nil {
				t.Fatal(err)
			}
			message := []byte("root.json")
			sig, err := s.Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path + ".pub")
			if err != nil {
				t.Fatal(err)
			}
			pub, err := key.ParsePublic(text)
			if err != nil {
				t.Fatal(err)
			}
			if err := key.Verify(pub, message, sig); err != nil {
				t.Error(err)
			}
			listed, err := provider.List(t.Context(), "file:"+filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			fingerprint, err := key.Fingerprint(pub)
			if err != nil {
				t.Fatal(err)
			}
			want := []key.Info{{URI: "file:" + path, Algorithm: algorithm, Fingerprint: fingerprint, Where: "file", Extractable: new(true)}}
			if diff := cmp.Diff(want, listed); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(want[0], s.(key.Described).Info()); diff != "" {
				t.Error(diff)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, err := s.Sign(t.Context(), message); err == nil {
				t.Error("a closed key signed")
			}
		})
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	path := newKey(t, key.ECDSAP256)
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = info.Mode().String()
	}
	want := map[string]string{"root.pem": "-rw-------", "root.pem.pub": "-rw-r--r--"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	for _, taken := range []string{"root.pem", "root.pem.pub"} {
		t.Run(taken, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Symlink("nowhere", filepath.Join(dir, taken)); err != nil {
				t.Fatal(err)
			}
			_, err := provider.Generate(t.Context(), "file:"+filepath.Join(dir, "root.pem"), key.Ed25519)
			if !fault.Is(err, fault.Conflict) {
				t.Errorf("Generate: %v", err)
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 1 {
				t.Errorf("left in the folder: %v, %v", entries, err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	plain := func(t *testing.T) []byte {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	tests := []struct {
		name   string
		change func(t *testing.T, path string) error
		kind   fault.Kind
		says   string
		hint   string
	}{
		{"missing", func(_ *testing.T, p string) error { return os.Remove(p) }, fault.NotFound, "no key file", "plimsoll key generate file:"},
		{"group may read", func(_ *testing.T, p string) error { return os.Chmod(p, 0o640) }, fault.Unavailable, "mode 0640", "chmod 600"},
		{"world may write", func(_ *testing.T, p string) error { return os.Chmod(p, 0o602) }, fault.Unavailable, "mode 0602", "chmod 600"},
		{"symbolic link", func(_ *testing.T, p string) error { return errors.Join(os.Rename(p, p+"2"), os.Symlink(p+"2", p)) }, fault.Invalid, "symbolic link", ""},
		{"pipe", func(_ *testing.T, p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) }, fault.Invalid, "not a regular file", ""},
		{"folder", func(_ *testing.T, p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, fault.Invalid, "not a regular file", ""},
		{"too large", func(_ *testing.T, p string) error { return os.Truncate(p, 17<<10) }, fault.Invalid, "larger than", ""},
		{"empty", func(_ *testing.T, p string) error { return os.Truncate(p, 0) }, fault.Invalid, "no PEM block", ""},
		{"not encrypted", func(t *testing.T, p string) error { return os.WriteFile(p, plain(t), 0o600) }, fault.Invalid, "not encrypted", "openssl pkcs8 -topk8"},
		{"public half", func(_ *testing.T, p string) error { return errors.Join(os.Rename(p+".pub", p), os.Chmod(p, 0o600)) }, fault.Invalid, "public key", ""},
		{"another's public key", func(t *testing.T, p string) error {
			return os.Rename(newKey(t, key.Ed25519)+".pub", p+".pub")
		}, fault.Invalid, "is not the public key of", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := newKey(t, key.ECDSAP256)
			if err := tt.change(t, path); err != nil {
				t.Fatal(err)
			}
			_, err := provider.Open(t.Context(), "file:"+path)
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("Open: %v (%v, hint %q)", err, fault.KindOf(err), fault.HintOf(err))
			}
		})
	}
}

func TestWrongPassphraseNamesTheFile(t *testing.T) {
	path := newKey(t, key.ECDSAP256)
	for i := range 3 {
		wrong := file.New(file.Config{Passphrase: fmt.Sprint("wrong", i)})
		_, err := wrong.Open(t.Context(), "file:"+path)
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "passphrase is wrong") {
			t.Errorf("Open: %v", err)
		}
	}
}

func TestURIs(t *testing.T) {
	for _, uri := range []string{"file:", "file://", "file://host/root.pem", "pkcs11:token=x", "root.pem", "file:a\x00b"} {
		if _, err := provider.Open(t.Context(), uri); !fault.Is(err, fault.Invalid) {
			t.Errorf("Open(%q): %v", uri, err)
		}
	}
	t.Chdir(t.TempDir())
	s, err := provider.Generate(t.Context(), "file:keys/root.pem", key.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if info, err := os.Stat("keys"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the new folder: %v, %v", info.Mode(), err)
	}
}

func TestPassphraseIsAskedTwiceForANewKey(t *testing.T) {
	tests := []struct {
		name    string
		answers []string
		asked   int
		says    string
	}{
		{"the same", []string{"one", "one"}, 2, ""},
		{"different", []string{"one", "two"}, 2, "differ"},
		{"empty", []string{""}, 1, "empty"},
		{"empty again", []string{"one", ""}, 2, "empty"},
		{"nobody", nil, 1, "nobody"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, who := t.TempDir(), &typist{answers: tt.answers}
			p := file.New(file.Config{Prompter: who})
			_, err := p.Generate(t.Context(), "file:"+filepath.Join(dir, "k"), key.Ed25519)
			if len(who.asked) != tt.asked {
				t.Errorf("asked %q", who.asked)
			}
			if tt.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Generate: %v", err)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
	_, err := file.New(file.Config{}).Open(t.Context(), "file:"+newKey(t, key.Ed25519))
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.HintOf(err), "PLIMSOLL_KEY_PASSPHRASE") {
		t.Errorf("Open without anybody to ask: %v", err)
	}
}

// stopper cancels the context while it is asked.
type stopper struct{ cancel context.CancelFunc }

func (s stopper) Secret(context.Context, string) ([]byte, error) {
	s.cancel()
	return []byte("x"), nil
}

func TestCancelledGenerateLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := file.New(file.Config{Prompter: stopper{cancel}}).Generate(ctx, "file:"+filepath.Join(dir, "k"), key.Ed25519)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Generate: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestListOfAFolder(t *testing.T) {
	path := newKey(t, key.ECDSAP256)
	dir := filepath.Dir(path)
	if err := os.Remove(path + ".pub"); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"notes.txt": "hello", ".hidden": "-----BEGIN ENCRYPTED PRIVATE KEY-----"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(path, filepath.Join(dir, "link.pem")); err != nil {
		t.Fatal(err)
	}
	got, err := provider.List(t.Context(), "file:"+dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]key.Info{{URI: "file:" + path, Where: "file", Extractable: new(true)}}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := provider.List(t.Context(), "file:"+filepath.Join(dir, "none")); !fault.Is(err, fault.NotFound) {
		t.Errorf("List of nothing: %v", err)
	}
}

// openssl runs the real program with our passphrase, or skips.
func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is missing")
		}
		t.Skip("openssl is missing")
	}
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Env = append(os.Environ(), "PASS="+passphrase)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out
}

func TestOpenSSLOpensOurs(t *testing.T) {
	for _, algorithm := range []key.Algorithm{key.ECDSAP256, key.Ed25519} {
		path := newKey(t, algorithm)
		got := openssl(t, "pkey", "-in", path, "-passin", "env:PASS", "-pubout")
		want, err := os.ReadFile(path + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestWeOpenOpenSSLs(t *testing.T) {
	tests := map[string][]string{
		"default":          {},
		"scrypt":           {"-scrypt"},
		"AES-128, SHA-512": {"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"},
		"AES-192, rounds":  {"-v2", "aes-192-cbc", "-iter", "600000"},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			plain, sealed := filepath.Join(t.TempDir(), "plain"), filepath.Join(t.TempDir(), "sealed")
			openssl(t, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", plain)
			openssl(t, append([]string{"pkcs8", "-topk8", "-in", plain, "-out", sealed, "-passout", "env:PASS"}, args...)...)
			if err := os.Chmod(sealed, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := provider.Open(t.Context(), "file:"+sealed)
			if err != nil {
				t.Fatal(err)
			}
			want, err := key.ParsePublic(openssl(t, "pkey", "-in", plain, "-pubout"))
			if err != nil {
				t.Fatal(err)
			}
			if !want.(interface{ Equal(crypto.PublicKey) bool }).Equal(s.Public()) {
				t.Error("another key came out")
			}
		})
	}
	for name, args := range map[string][]string{"3DES": {"-v2", "des3"}, "SHA-1": {"-v2prf", "hmacWithSHA1"}} {
		t.Run(name, func(t *testing.T) {
			plain, sealed := filepath.Join(t.TempDir(), "plain"), filepath.Join(t.TempDir(), "sealed")
			openssl(t, "genpkey", "-algorithm", "ED25519", "-out", plain)
			openssl(t, append([]string{"pkcs8", "-topk8", "-in", plain, "-out", sealed, "-passout", "env:PASS"}, args...)...)
			if err := os.Chmod(sealed, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := provider.Open(t.Context(), "file:"+sealed)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "openssl pkcs8") {
				t.Errorf("Open: %v, hint %q", err, fault.HintOf(err))
			}
		})
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	p := file.New(file.Config{Passphrase: "correct horse"})
	s, err := p.Generate(context.Background(), "file:"+filepath.Join(dir, "targets.pem"), key.Ed25519)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	sig, err := s.Sign(context.Background(), []byte("targets.json"))
	fmt.Println(len(sig), err)
	fmt.Println(key.Verify(s.Public(), []byte("targets.json"), sig))
	// Output:
	// 64 <nil>
	// <nil>
}
