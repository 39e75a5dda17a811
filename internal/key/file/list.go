package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// maxEntries bounds how many files of a folder are looked at.
const maxEntries = 10_000

// List describes the key in the file that uri names, or those in the folder, in
// order of their names. It decrypts nothing: algorithm and fingerprint are
// PATH.pub's, and empty where that is missing. It is NotFound if there is no
// such path.
func (p *Provider) List(ctx context.Context, uri string) ([]key.Info, error) {
	path, err := pathOf(uri)
	if err != nil {
		return nil, err
	}
	stat, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Errorf(fault.NotFound, "no file or folder %q", path)
	case err != nil:
		return nil, fault.As(fault.Unavailable, fmt.Errorf("list keys: %w", err))
	case stat.IsDir():
		return listDir(ctx, path)
	}
	if _, err := readPrivate(path); err != nil {
		return nil, err
	}
	info, err := describe(path)
	if err != nil {
		return nil, err
	}
	return []key.Info{info}, nil
}

func listDir(ctx context.Context, dir string) ([]key.Info, error) {
	d, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("list keys: %w", err))
	}
	if len(d) > maxEntries {
		return nil, fault.Errorf(fault.Invalid, "folder %q holds more than %d files", dir, maxEntries)
	}
	var all []key.Info
	for _, entry := range d {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("list keys: %w", err)
		}
		path := filepath.Join(dir, entry.Name())
		if !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), ".") || !holdsKey(path) {
			continue
		}
		info, err := describe(path)
		if err != nil {
			return nil, err
		}
		all = append(all, info)
	}
	return all, nil
}

// holdsKey reports whether path begins as an encrypted key does, whoever may
// read it: one with the wrong mode is listed, and refused when it is opened.
func holdsKey(path string) bool {
	text, err := readFile(path, false)
	return err == nil && bytes.HasPrefix(text, []byte("-----BEGIN "+pemEncrypted+"-----"))
}

func describe(path string) (key.Info, error) {
	info := key.Info{URI: Scheme + ":" + path, Where: Scheme, Extractable: new(true)}
	pub, err := readPublic(path)
	if fault.Is(err, fault.NotFound) {
		return info, nil
	}
	if err != nil {
		return key.Info{}, err
	}
	if info.Algorithm, err = key.AlgorithmOf(pub); err != nil {
		return key.Info{}, err
	}
	info.Fingerprint, err = key.Fingerprint(pub)
	return info, err
}
