//go:build cgo

package pkcs11

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// usual are the modules that are looked for, each under the names that
// distributions give its file; the first that is there counts. One that needs a
// device is left alone where there is none of it: the TPM's would make itself a
// store in the user's folder and write a page of errors.
var usual = []struct{ names, devices []string }{
	{names: []string{"softhsm/libsofthsm2.so", "pkcs11/libsofthsm2.so", "libsofthsm2.so"}},
	{names: []string{"pkcs11/opensc-pkcs11.so", "opensc-pkcs11.so"}},
	{names: []string{"libykcs11.so.2", "libykcs11.so", "pkcs11/libykcs11.so", "libykcs11.dylib"}},
	{
		names:   []string{"pkcs11/libtpm2_pkcs11.so", "libtpm2_pkcs11.so.1", "libtpm2_pkcs11.so"},
		devices: []string{"/dev/tpmrm0", "/dev/tpm0"},
	},
}

// triplets are Debian's folders by architecture.
var triplets = map[string]string{
	"386": "i386-linux-gnu", "amd64": "x86_64-linux-gnu", "arm": "arm-linux-gnueabihf", "arm64": "aarch64-linux-gnu",
	"loong64": "loongarch64-linux-gnu", "ppc64le": "powerpc64le-linux-gnu", "riscv64": "riscv64-linux-gnu", "s390x": "s390x-linux-gnu",
}

func folders() []string {
	return []string{"/usr/lib/" + triplets[runtime.GOARCH], "/usr/lib64", "/usr/lib", "/usr/local/lib", "/usr/local/lib64", "/opt/homebrew/lib", "/Library/OpenSC/lib"}
}

// modulePaths returns the modules to look for u's token in: the one that it
// names, else the configured one, else all that are found.
func (p *Provider) modulePaths(u uri) ([]string, error) {
	if path, ok := u.query["module-path"]; ok {
		return checked(filepath.Clean(path))
	}
	if name, ok := u.query["module-name"]; ok {
		return namedModule(name)
	}
	if p.config.Module != "" {
		return checked(filepath.Clean(p.config.Module))
	}
	var found []string
	for _, m := range usual {
		if path := first(m.names); path != "" && (len(m.devices) == 0 || slices.ContainsFunc(m.devices, exists)) {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		err := fault.Errorf(fault.Unavailable, "%w in the usual places", ErrNoModule)
		return nil, fault.Hint(err, "install your token's (packages opensc-pkcs11, ykcs11, libtpm2-pkcs11-1, softhsm2) or set PLIMSOLL_PKCS11_MODULE to its path")
	}
	return found, nil
}

// namedModule returns the module whose file is called name, with "lib" before it
// or not.
func namedModule(name string) ([]string, error) {
	base := strings.TrimSuffix(name, ".so")
	var names []string
	for _, dir := range []string{"", "pkcs11/", "softhsm/"} {
		names = append(names, dir+base+".so", dir+"lib"+base+".so")
	}
	if path := first(names); path != "" {
		return []string{path}, nil
	}
	err := fault.Errorf(fault.Unavailable, "no PKCS#11 module called %q in the usual places", name)
	return nil, fault.Hint(err, "give its path: module-path=/path/to/module.so")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// first returns the path of the first of names, which is wanted in this order,
// that a usual folder holds, or "".
func first(names []string) string {
	for _, dir := range folders() {
		for _, name := range names {
			path := filepath.Join(dir, name)
			if paths, err := checked(path); err == nil {
				return paths[0]
			}
		}
	}
	return ""
}

// checked refuses a module that is not there, or that somebody else can change:
// it becomes part of this process.
func checked(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		err := fault.Errorf(fault.Unavailable, "no PKCS#11 module: %w", err)
		return nil, fault.Hint(err, "set PLIMSOLL_PKCS11_MODULE or module-path to the path of your token's module")
	}
	if !filepath.IsAbs(path) || !info.Mode().IsRegular() {
		return nil, fault.Errorf(fault.Unavailable, "PKCS#11 module %q is not the absolute path of a file", path)
	}
	if info.Mode().Perm()&0o022 != 0 {
		err := fault.Errorf(fault.Unavailable, "PKCS#11 module %q has mode %04o: others can change it", path, info.Mode()&fs.ModePerm)
		return nil, fault.Hint(err, "chmod go-w %s", path)
	}
	return []string{path}, nil
}
