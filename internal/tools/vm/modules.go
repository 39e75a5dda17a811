package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// wanted are the modules that the machine loads; what they need comes before
// them.
var wanted = []string{
	"virtio_pci", "virtio_blk", "bfq", "xfs", "quota_v2", "overlay", "loop",
	"veth", "nf_tables", "nft_ct", "nft_reject_inet", "nf_defrag_ipv6",
}

// modules returns the files of wanted modules and of what they depend on, in the
// order in which they can be loaded. dir is a kernel's folder of modules.
func modules(dir string, wanted []string) ([]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(d.Name(), ".ko"); ok && err == nil {
			files[canonical(name)] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var order []string
	var add func(name string) error
	add = func(name string) error {
		path, ok := files[canonical(name)]
		if !ok {
			return fmt.Errorf("the kernel has no module %s", name)
		}
		if slices.Contains(order, path) {
			return nil
		}
		needs, err := depends(path)
		if err != nil {
			return err
		}
		for _, n := range needs {
			if err := add(n); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		order = append(order, path)
		return nil
	}
	for _, name := range wanted {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// depends reads what a module says that it needs.
func depends(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", filepath.Base(path), err)
	}
	defer func() { _ = f.Close() }()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("%s is no module", filepath.Base(path))
	}
	b, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", filepath.Base(path), err)
	}
	for field := range bytes.SplitSeq(b, []byte{0}) {
		if list, ok := bytes.CutPrefix(field, []byte("depends=")); ok && len(list) > 0 {
			return strings.Split(string(list), ","), nil
		}
	}
	return nil, nil
}
