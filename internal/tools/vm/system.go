package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"plimsoll/internal/tools/debian"
)

// release is Debian 12.
const release = "bookworm"

// kernel is Debian's, unpacked.
type kernel struct{ image, modules string }

// programs of the guest; apt says what they need.
var guestPackages = []string{"busybox-static", "runc", "crun", "iproute2", "apparmor", "e2fsprogs", "mount", "util-linux", "nftables", "systemd"}

var imagePackage = regexp.MustCompile(`^linux-image-[0-9]`)

// unpack returns the kernel and a new folder with the guest's programs.
func (b *builder) unpack(ctx context.Context) (kernel, string, error) {
	archive, err := b.archive(ctx)
	if err != nil {
		return kernel{}, "", err
	}
	all, err := archive.Resolve(ctx, "linux-image-cloud-amd64:amd64")
	if err != nil {
		return kernel{}, "", err
	}
	all = slices.DeleteFunc(all, func(p debian.Package) bool { return !imagePackage.MatchString(p.Name) })
	if len(all) != 1 {
		return kernel{}, "", fmt.Errorf("apt knows %d kernels", len(all))
	}
	k := filepath.Join(b.work, "kernel")
	if err := archive.Unpack(ctx, all, k); err != nil {
		return kernel{}, "", err
	}
	images, err := filepath.Glob(k + "/boot/vmlinuz-*")
	if err != nil || len(images) != 1 {
		return kernel{}, "", fmt.Errorf("the package has %d kernels, %w", len(images), err)
	}
	root := filepath.Join(b.work, "root")
	packages, err := archive.Resolve(ctx, guestPackages...)
	if err != nil {
		return kernel{}, "", err
	}
	if err := archive.Unpack(ctx, packages, root); err != nil {
		return kernel{}, "", err
	}
	for _, dir := range []string{"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/perl", "usr/share/zoneinfo"} {
		if err := os.RemoveAll(filepath.Join(root, dir)); err != nil {
			return kernel{}, "", err
		}
	}
	return kernel{images[0], filepath.Join(k, "usr/lib/modules")}, root, guestFiles(root)
}

// guestFiles writes what programs expect of a system.
func guestFiles(root string) error {
	for _, dir := range []string{"proc", "sys", "dev", "run", "tmp", "root", "etc/systemd/system", "mnt/ext4", "mnt/xfs", "var/lib", "etc", "t"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
		"etc/group":  "root:x:0:\nnogroup:x:65534:\n",
		"etc/hosts":  "127.0.0.1 localhost\n::1 localhost\n",
		// Without one systemd takes the boot for the first, and asks.
		"etc/machine-id": strings.Repeat("5", 32) + "\n",
		// All that systemd starts. The machine ends when it does.
		"etc/systemd/system/lane.service": "[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\nFailureAction=poweroff-force\nSuccessAction=poweroff-force\n" +
			"[Service]\nType=oneshot\nExecStart=/t/guest systemd\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) archive(ctx context.Context) (*debian.Root, error) {
	m, err := debian.ThisMachine(ctx)
	if err != nil {
		return nil, err
	}
	f, err := debian.FindMirrors(ctx, m, b.cache, say)
	if err != nil {
		return nil, err
	}
	source := func(uris []string, suite string) debian.Source {
		return debian.Source{URIs: uris, Suites: []string{suite}, Components: []string{"main"}, SignedBy: f.Keyring}
	}
	return debian.NewRoot(ctx, b.cache, "machine", []debian.Source{source(f.Main, release), source(f.Security, release+"-security")}, say)
}
