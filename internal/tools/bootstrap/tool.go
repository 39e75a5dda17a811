package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A tool is one thing that is needed and the packages that bring it.
type tool struct {
	name     string
	packages []string
	found    func(context.Context, *finder) bool // uses what is there
	unpacked func(*finder, roots) error          // uses what was unpacked
}

// A finder looks for what the machine has and collects the environment in
// which the tools work.
type finder struct {
	path []string // folders to put behind PATH
	env  map[string]string
}

// adminFolders hold programs such as runc; the PATH of people may lack them.
var adminFolders = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// look returns the path of a program on PATH or in the folders of the
// administrator, which then join PATH.
func (f *finder) look(program string) (string, bool) {
	if path, err := exec.LookPath(program); err == nil {
		return path, true
	}
	for _, dir := range adminFolders {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			f.path = append(f.path, dir)
			return path, true
		}
	}
	return "", false
}

var tools = []tool{
	{
		name:     "runc",
		packages: []string{"runc"},
		found:    func(_ context.Context, f *finder) bool { _, ok := f.look("runc"); return ok },
		unpacked: func(*finder, roots) error { return nil },
	},
	{
		name:     "SoftHSM",
		packages: []string{"softhsm2"},
		found:    findSoftHSM,
		unpacked: unpackedSoftHSM,
	},
	{
		name:     "a virtual card reader and what speaks to it",
		packages: []string{"pcscd", "vsmartcard-vpcd", "opensc", "yubico-piv-tool", "ykcs11"},
		found:    findCards,
		unpacked: unpackedCards,
	},
	{
		name:     "a C compiler",
		packages: []string{"gcc", "libc6-dev"},
		found:    findCompiler,
		unpacked: unpackedCompiler,
	},
	{
		name:     "npm",
		packages: []string{"npm"},
		found: func(_ context.Context, f *finder) bool {
			_, npm := f.look("npm")
			_, node := f.look("node")
			return npm && node
		},
		unpacked: unpackedNode,
	},
}

// modulePlaces are where distributions put SoftHSM's PKCS#11 module.
var modulePlaces = []string{
	"usr/lib/softhsm/libsofthsm2.so", "usr/lib/*/softhsm/libsofthsm2.so",
	"usr/local/lib/softhsm/libsofthsm2.so", "usr/lib64/softhsm/libsofthsm2.so", "usr/lib64/pkcs11/libsofthsm2.so",
}

func moduleBelow(root string) (string, bool) { return firstBelow(root, modulePlaces) }

// firstBelow returns the first file below root that one of the patterns names.
func firstBelow(root string, places []string) (string, bool) {
	for _, place := range places {
		if found, err := filepath.Glob(filepath.Join(root, place)); err == nil && len(found) > 0 {
			return found[0], true
		}
	}
	return "", false
}

func findSoftHSM(_ context.Context, f *finder) bool {
	util, ok := f.look("softhsm2-util")
	if !ok {
		return false
	}
	module := os.Getenv("PLIMSOLL_PKCS11_MODULE")
	if module == "" {
		if module, ok = moduleBelow("/"); !ok {
			return false
		}
	}
	f.env["PLIMSOLL_PKCS11_MODULE"], f.env["PLIMSOLL_SOFTHSM2_UTIL"] = module, util
	return true
}

// cardModules are the libraries that tests need beside programs, by the variable
// that names each.
var cardModules = map[string][]string{
	"PLIMSOLL_VPCD":   {"usr/lib/pcsc/drivers/serial/libifdvpcd.so"},
	"PLIMSOLL_YKCS11": {"usr/lib/*/libykcs11.so", "usr/lib/*/libykcs11.so.*"},
}

func findCards(_ context.Context, f *finder) bool {
	for _, program := range []string{"pcscd", "opensc-tool", "pkcs11-tool", "yubico-piv-tool"} {
		if _, ok := f.look(program); !ok {
			return false
		}
	}
	return f.nameModules("/")
}

// nameModules sets the variables of cardModules to what is below root.
func (f *finder) nameModules(root string) bool {
	for variable, places := range cardModules {
		path, ok := firstBelow(root, places)
		if !ok {
			return false
		}
		f.env[variable] = path
	}
	return true
}

// findCompiler asks for a program to be compiled and linked: a compiler without
// headers is of no use.
func findCompiler(ctx context.Context, f *finder) bool {
	cc := os.Getenv("CC")
	if cc == "" {
		var ok bool
		if cc, ok = f.look("gcc"); !ok {
			return false
		}
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", cc+" -x c - -o /dev/null -ldl -lpthread")
	cmd.Stdin = strings.NewReader("#include <stdlib.h>\n#include <dlfcn.h>\nint main(void) { return dlerror() != 0; }\n")
	return cmd.Run() == nil
}
