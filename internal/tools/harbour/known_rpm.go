package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	rpmdb "github.com/anchore/go-rpmdb/pkg"
	_ "modernc.org/sqlite" // which the library reads through
)

// knownRPM makes a layer with the package database of Rocky Linux 9, which the
// library that reads rpm's databases carries among its tests. What is in it is
// what that library says.
func (b *builder) knownRPM(ctx context.Context, f *facts) ([]layer, error) {
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/anchore/go-rpmdb").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module of go-rpmdb: %w", err)
	}
	file := filepath.Join(strings.TrimSpace(string(dir)), "pkg/testdata/rockylinux-9/rpmdb.sqlite")
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read package database: %w", err)
	}
	db, err := rpmdb.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read package database: %w", err)
	}
	packages, err := db.ListPackages()
	if err != nil {
		return nil, fmt.Errorf("read package database: %w", err)
	}
	for _, p := range packages {
		if p.Name == "gpg-pubkey" { // a key and no package
			continue
		}
		version := p.Version + "-" + p.Release
		if p.Epoch != nil && *p.Epoch != 0 {
			version = strconv.Itoa(*p.Epoch) + ":" + version
		}
		f.add(fact{"package", "pkg:rpm/rocky/" + p.Name, version, ""})
	}
	l, err := b.layout.once(keyOf("known rpm", fmt.Sprintf("%x", sha256.Sum256(content))), "Rocky Linux's package database", func(t *tree) error {
		if err := t.file("etc/os-release", 0o644, "NAME=\"Rocky Linux\"\nID=\"rocky\"\nVERSION_ID=\"9.0\"\n"); err != nil {
			return err
		}
		return t.file("var/lib/rpm/rpmdb.sqlite", 0o644, string(content))
	})
	return []layer{l}, err
}
