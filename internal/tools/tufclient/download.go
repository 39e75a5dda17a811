package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	"plimsoll/internal/durable"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/httpstore"
)

// download fetches the targets, one after the other up to the first that cannot
// be had, all by the same metadata.
func (o *options) download(ctx context.Context) error {
	if len(o.targets) == 0 || o.targetDir == "" {
		return errors.New("--target-name or --target-dir is missing")
	}
	files, err := httpstore.NewFiles(httpstore.Config{Base: o.targetURL, Insecure: true})
	if err != nil {
		return fmt.Errorf("--target-base-url: %w", err)
	}
	dir, err := os.OpenRoot(o.targetDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return o.refresh(ctx, func(t *trust.Trusted) error {
		for _, name := range o.targets {
			target, err := t.Target(ctx, name)
			if err != nil {
				return err
			}
			if err := fetch(ctx, files, dir, target); err != nil {
				return err
			}
		}
		return nil
	})
}

// fileFor returns the name of the file for the target at path. All of the path is
// escaped into one name: no path that a repository invents leads elsewhere. One
// that no file can have, or that is no file's, is hashed.
func fileFor(path string) string {
	const longest = 200 // bytes
	if name := url.PathEscape(path); len(name) <= longest && name != "." && name != ".." {
		return name
	}
	sum := sha256.Sum256([]byte(path))
	return "sha256-" + hex.EncodeToString(sum[:])
}

// fetch puts a target into dir, unless it is there already.
func fetch(ctx context.Context, files *httpstore.Files, dir *os.Root, target *trust.Target) error {
	name := fileFor(target.Path)
	if there(dir, name, target) {
		return nil
	}
	body, err := files.Open(ctx, target.URLPath(), target.Length)
	if err != nil {
		return fmt.Errorf("target %q: %w", target.Path, err)
	}
	temp := ".new-" + rand.Text()
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, body.Close())
	}
	err = target.Receive(f, body)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close(), body.Close()); err == nil {
		err = dir.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, dir.Remove(temp))
	}
	return durable.SyncIn(dir, ".")
}

// there reports whether the target lies in dir as it should be.
func there(dir *os.Root, name string, target *trust.Target) bool {
	if info, err := dir.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := dir.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	return target.Receive(io.Discard, f) == nil
}
