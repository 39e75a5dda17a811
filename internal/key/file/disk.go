package file

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

const (
	pemEncrypted = "ENCRYPTED PRIVATE KEY" // RFC 7468, section 11
	maxFile      = 16 << 10                // bytes
	public       = ".pub"
)

// readPrivate returns the DER in the PEM file path.
func readPrivate(path string) ([]byte, error) {
	text, err := readFile(path, true)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.Hint(err, "plimsoll key generate file:%s", path)
	}
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(bytes.TrimSpace(text))
	switch {
	case block == nil:
		return nil, fault.Errorf(fault.Invalid, "key %q: no PEM block in it", path)
	case block.Type == "PRIVATE KEY" || block.Type == "EC PRIVATE KEY":
		clear(text)
		return nil, fault.Hint(fault.Errorf(fault.Invalid, "key %q is not encrypted: whoever copies the file has the key", path), hintEncrypt)
	case block.Type == "PUBLIC KEY":
		return nil, fault.Errorf(fault.Invalid, "key %q is a public key; the private one is needed", path)
	case block.Type != pemEncrypted || len(block.Headers) > 0:
		return nil, fault.Hint(fault.Errorf(fault.Invalid, "key %q: PEM block %q where %q is expected", path, block.Type, pemEncrypted), hintEncrypt)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fault.Errorf(fault.Invalid, "key %q: something follows the key", path)
	}
	return block.Bytes, nil
}

// readFile returns the content of a regular file of at most maxFile bytes. It
// follows no symbolic link at the path's end and does not wait for a pipe. A
// private file must be the user's or root's, and nobody else's to read.
func readFile(path string, private bool) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0) // #nosec G304 -- the user names it
	switch {
	case errors.Is(err, syscall.ELOOP):
		return nil, fault.Errorf(fault.Invalid, "key %q is a symbolic link: name the file itself", path)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Errorf(fault.NotFound, "no key file %q", path)
	case err != nil:
		return nil, fault.As(fault.Unavailable, fmt.Errorf("read key: %w", err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("read key: %w", err))
	}
	if !info.Mode().IsRegular() {
		return nil, fault.Errorf(fault.Invalid, "key %q is not a regular file", path)
	}
	if private {
		if err := guarded(path, info); err != nil {
			return nil, err
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("read key %q: %w", path, err))
	}
	if len(text) > maxFile {
		return nil, fault.Errorf(fault.Invalid, "key %q is larger than %d bytes", path, maxFile)
	}
	return text, nil
}

// guarded refuses a file that others than its owner may use, as ssh does.
func guarded(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		err := fault.Errorf(fault.Unavailable, "key %q has mode %04o: others can read or change it", path, mode)
		return fault.Hint(err, "chmod 600 %s", path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fault.Errorf(fault.Unavailable, "key %q belongs to the user with ID %d", path, st.Uid)
	}
	return nil
}

// matchPublic refuses a PATH.pub that is not pub's. No PATH.pub is fine.
func matchPublic(path string, pub crypto.PublicKey) error {
	beside, err := readPublic(path)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if e, ok := beside.(interface{ Equal(crypto.PublicKey) bool }); !ok || !e.Equal(pub) {
		return fault.Errorf(fault.Invalid, "%q is not the public key of %q", path+public, path)
	}
	return nil
}

// readPublic returns the key in PATH.pub.
func readPublic(path string) (crypto.PublicKey, error) {
	text, err := readFile(path+public, false)
	if err != nil {
		return nil, err
	}
	pub, err := key.ParsePublic(text)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", path+public, err)
	}
	return pub, nil
}

// vacant is a Conflict if PATH or PATH.pub exists.
func vacant(path string) error {
	for _, p := range []string{path, path + public} {
		switch _, err := os.Lstat(p); {
		case err == nil:
			return exists(p)
		case !errors.Is(err, fs.ErrNotExist):
			return fault.As(fault.Unavailable, fmt.Errorf("generate key: %w", err))
		}
	}
	return nil
}

func exists(path string) error {
	err := fault.Errorf(fault.Conflict, "%q exists already and is not overwritten", path)
	return fault.Hint(err, "choose another name, or move the old key away")
}

// writePair writes both halves of a new key, the private one first: alone it is
// of use, the public one is not.
func writePair(path string, private, pub []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("write key: %w", err))
	}
	text := pem.EncodeToMemory(&pem.Block{Type: pemEncrypted, Bytes: private})
	if err := writeNew(path, text, 0o600); err != nil {
		return err
	}
	if err := writeNew(path+public, pub, 0o644); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// writeNew makes the file path durably, or is a Conflict if it exists: a
// temporary file in the same folder is filled, synced and linked, which unlike a
// rename never replaces.
func writeNew(path string, text []byte, mode fs.FileMode) (err error) {
	defer func() {
		if err != nil && fault.KindOf(err) == fault.Internal {
			err = fault.As(fault.Unavailable, fmt.Errorf("write key: %w", err))
		}
	}()
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".plimsoll-key-*") // O_EXCL, mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := fill(f, text, mode); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return exists(path)
	} else if err != nil {
		return err
	}
	return durable.SyncFolder(dir)
}

func fill(f *os.File, text []byte, mode fs.FileMode) error {
	_, err := f.Write(text)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}
