package audit

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"plimsoll/internal/fault"
)

// maxKey bounds the files of keys and checkpoints, in bytes.
const maxKey = 4 << 10

// makeKey writes a new key pair; the private key is the last thing to appear, so
// that a key file always has its public part beside it.
func makeKey(root *os.Root, rand io.Reader) error {
	var id [4]byte
	if _, err := io.ReadFull(rand, id[:]); err != nil {
		return fault.Errorf(fault.Unavailable, "make the audit log's name: %w", err)
	}
	private, public, err := note.GenerateKey(rand, "plimsoll-audit-"+hex.EncodeToString(id[:]))
	if err != nil {
		return fault.Errorf(fault.Unavailable, "make the audit log's key: %w", err)
	}
	if err := writeDurably(root, publicFile, []byte(public+"\n"), 0o644); err != nil {
		return err
	}
	return writeDurably(root, keyFile, []byte(private+"\n"), 0o600)
}

// openKey returns the log's signer and the verifier that belongs to it.
func openKey(root *os.Root) (note.Signer, note.Verifier, error) {
	if err := private(root); err != nil {
		return nil, nil, err
	}
	private, err := readSmall(root, keyFile)
	if err != nil {
		return nil, nil, err
	}
	signer, err := note.NewSigner(strings.TrimSuffix(string(private), "\n"))
	if err != nil {
		return nil, nil, fault.Errorf(fault.Untrusted, "the audit log's key is damaged: %w", err)
	}
	public, err := readSmall(root, publicFile)
	if err != nil {
		return nil, nil, err
	}
	verifier, err := ParseKey(string(public))
	if err != nil {
		return nil, nil, err
	}
	if verifier.Name() != signer.Name() || verifier.KeyHash() != signer.KeyHash() {
		return nil, nil, fault.Errorf(fault.Untrusted, "the audit log's key and key.pub are not of one pair")
	}
	return signer, verifier, nil
}

// private refuses a key that others than its owner can read: they could sign
// another history.
func private(root *os.Root) error {
	info, err := root.Stat(keyFile)
	if err != nil {
		return fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		path := filepath.Join(root.Name(), keyFile)
		err := fault.Errorf(fault.Untrusted, "the audit log's key %q has mode %04o: others can read or change it", path, mode)
		return fault.Hint(err, "if nobody else had a chance to: chmod 600 %s", path)
	}
	return nil
}

// ParseKey returns the verifier that s, the content of a key.pub, describes
// (c2sp.org/signed-note, "Verifier keys").
func ParseKey(s string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSuffix(s, "\n"))
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "verifier key %q: %w", s, err)
	}
	return v, nil
}

// readSmall returns the content of a file that is known to be short.
func readSmall(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKey+1))
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	if len(b) > maxKey {
		return nil, fault.Errorf(fault.Untrusted, "audit log: %s is longer than %d bytes", name, maxKey)
	}
	return b, nil
}

// exists reports whether name is there.
func exists(root *os.Root, name string) (bool, error) {
	_, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	return true, nil
}
