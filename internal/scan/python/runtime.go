package python

import (
	"context"
	"path"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Runtime is a [scan.Extractor] that says which scripts come with CPython, by its
// standard library: lib/python3.11/os.py. It recognises no component: the
// scripts are explained only where the interpreter is known by its content, and
// no record has their hashes.
type Runtime struct{}

var _ scan.Extractor = Runtime{}

// Name implements [scan.Extractor].
func (Runtime) Name() string { return "python-runtime" }

// Version implements [scan.Extractor].
func (Runtime) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Runtime) Wants(e image.Entry, _ []byte) bool {
	dir, ok := strings.CutSuffix(e.Path, "/os.py")
	return ok && version(dir) != ""
}

// version returns the "3.11" of "PREFIX/lib/python3.11".
func version(dir string) string {
	above, last := path.Split(dir)
	if above != "lib/" && !strings.HasSuffix(above, "/lib/") {
		return ""
	}
	v, ok := strings.CutPrefix(last, "python3.")
	if !ok || v == "" || strings.Trim(v, "0123456789t") != "" { // t: without the global lock
		return ""
	}
	return "3." + v
}

// The scripts of CPython 3.6 to 3.14: folders and files below lib/python3.N, and
// programs in bin, with and without the version behind.
var (
	stdlibFolders = []string{"ctypes", "encodings", "idlelib", "lib2to3", "test", "turtledemo"}
	stdlibFiles   = []string{
		"base64.py", "cProfile.py", "cgi.py", "pdb.py", "platform.py", "profile.py", "pydoc.py", "quopri.py", "smtpd.py",
		"smtplib.py", "tabnanny.py", "tarfile.py", "timeit.py", "trace.py", "webbrowser.py",
	}
)

// Extract implements [scan.Extractor].
func (Runtime) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	dir := path.Dir(f.Path)
	v := version(dir)
	bin := path.Join(dir, "../../bin")
	var found inventory.Found
	own := func(p string) {
		found.Owned = append(found.Owned, inventory.Owned{Path: p, Package: "python", Type: inventory.Generic})
	}
	for _, name := range stdlibFolders {
		own(path.Join(dir, name) + "/")
	}
	for _, name := range stdlibFiles {
		own(path.Join(dir, name))
	}
	for _, name := range []string{"2to3-" + v, "idle" + v, "pydoc" + v, "python" + v + "-config", "python" + v + "-gdb.py"} {
		own(path.Join(bin, name))
	}
	return found, nil
}
