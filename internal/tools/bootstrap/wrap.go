package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

func unpackedSoftHSM(f *finder, r roots) error {
	module, ok := moduleBelow(r.programs)
	if !ok {
		return fmt.Errorf("the package softhsm2 brought no PKCS#11 module")
	}
	f.env["PLIMSOLL_PKCS11_MODULE"] = module
	f.env["PLIMSOLL_SOFTHSM2_UTIL"] = filepath.Join(r.bin, "softhsm2-util")
	return wrapper(r, "softhsm2-util", fmt.Sprintf("exec %q --module %q \"$@\"\n", filepath.Join(r.programs, "usr/bin/softhsm2-util"), module))
}

func unpackedCards(f *finder, r roots) error {
	if !f.nameModules(r.programs) {
		return fmt.Errorf("the packages vsmartcard-vpcd and ykcs11 brought no libraries")
	}
	return nil
}

// unpackedCompiler makes a gcc that looks for everything in the private folders.
func unpackedCompiler(f *finder, r roots) error {
	found, err := filepath.Glob(filepath.Join(r.programs, "usr/bin/*-linux-gnu*-gcc"))
	if err != nil || len(found) == 0 {
		return fmt.Errorf("the package gcc brought no compiler")
	}
	f.env["CC"] = filepath.Join(r.bin, "gcc")
	return wrapper(r, "gcc", fmt.Sprintf("exec %q --sysroot=%q -B%q \"$@\"\n", found[0], r.system, filepath.Join(r.programs, "usr/bin")))
}

// nodeModules is where Debian's node looks for parts of itself. moved has the same
// length, so that it can take its place in the program: it is a folder that the
// wrapper has opened.
const (
	nodeModules = "/usr/share/nodejs"
	moved       = "/proc/self/fd/999"
)

// unpackedNode makes a node that finds its modules in the private folder.
func unpackedNode(f *finder, r roots) error {
	modules := filepath.Join(r.programs, nodeModules)
	f.env["NODE_PATH"] = modules
	if _, err := os.Stat(filepath.Join(r.bin, "node")); err == nil {
		return nil
	}
	libraries, err := filepath.Glob(filepath.Join(r.programs, "usr/lib/*/libnode.so.*"))
	if err != nil {
		return fmt.Errorf("find node: %w", err)
	}
	node := filepath.Join(r.programs, "usr/bin/node")
	for _, path := range append(libraries, node) {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read node: %w", err)
		}
		if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte(nodeModules), []byte(moved)), 0o755); err != nil {
			return fmt.Errorf("write node: %w", err)
		}
	}
	return wrapper(r, "node", fmt.Sprintf("exec 999<%q\nexec %q \"$@\"\n", modules, node))
}

// wrapper writes a shell script that runs with the private libraries.
func wrapper(r roots, name, script string) error {
	if err := os.MkdirAll(r.bin, 0o755); err != nil {
		return fmt.Errorf("make folder of wrappers: %w", err)
	}
	text := fmt.Sprintf("#!/bin/bash\nexport LD_LIBRARY_PATH=%q\n%s", libraryPath(r), script)
	return os.WriteFile(filepath.Join(r.bin, name), []byte(text), 0o755)
}
