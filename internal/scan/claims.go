package scan

import (
	"bytes"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
)

// Claims gathers what package databases say about files that could be run: who
// brought them, and what they hold. It keeps paths and sums in one piece of
// memory, so that a database of a hundred thousand files costs little more than
// the bytes of those that it keeps.
//
// A file that no record claims is never lost by that: if it can be run, it is
// unexplained, and reported. So what is passed over here may only be what nobody
// runs.
type Claims struct {
	text []byte // sums and paths, one after the other
	list []claim
}

// claim is one record: text[at:path] is the sum, text[path:end] the path.
type claim struct {
	at, path, end int
	pkg           string
	typ           inventory.Type
}

const (
	maxOwnedPath  = 4096     // bytes, as PATH_MAX
	maxClaimBytes = 32 << 20 // of the paths and sums of one database file
)

// sumDigits is the length of a sum in hexadecimal digits, by algorithm.
var sumDigits = map[string]int{"md5": 32, "sha1": 40, "sha256": 64}

// Add notes that the package brought the file at path, with or without a leading
// slash, and its sum: lower-case hexadecimal digits of "md5", "sha1" or "sha256".
// Any other sum is none. Paths that nobody would run are passed over. It is
// Invalid if there are more files than any distribution has.
func (c *Claims) Add(path []byte, pkg string, t inventory.Type, algorithm string, digits []byte) error {
	path = bytes.TrimPrefix(path, []byte("/"))
	if !mayRun(path) {
		return nil
	}
	return c.add(path, pkg, t, algorithm, digits)
}

// AddRunnable is [Claims.Add] of a file that can be run, whatever its path, or
// is metadata of a language's package where distributions install it.
func (c *Claims) AddRunnable(path []byte, pkg string, t inventory.Type, algorithm string, digits []byte) error {
	path = bytes.TrimPrefix(path, []byte("/"))
	return c.add(path, pkg, t, algorithm, digits)
}

func (c *Claims) add(path []byte, pkg string, t inventory.Type, algorithm string, digits []byte) error {
	if len(path) == 0 || len(path) > maxOwnedPath || string(path) == "." {
		return nil
	}
	one := claim{at: len(c.text), pkg: pkg, typ: t}
	if len(digits) > 0 && len(digits) == sumDigits[algorithm] && isHex(digits) {
		c.text = append(c.text, algorithm...)
		c.text = append(c.text, ':')
		c.text = append(c.text, digits...)
	}
	one.path = len(c.text)
	c.text = append(c.text, path...)
	one.end = len(c.text)
	if c.list = append(c.list, one); len(c.list) > MaxComponents || len(c.text) > maxClaimBytes {
		return fault.Errorf(fault.Invalid, "packages claim more than %d files or %d bytes of paths", MaxComponents, maxClaimBytes)
	}
	return nil
}

// Owned returns the claims.
func (c *Claims) Owned() []inventory.Owned {
	if len(c.list) == 0 {
		return nil
	}
	text := string(c.text)
	out := make([]inventory.Owned, len(c.list))
	for i, one := range c.list {
		out[i] = inventory.Owned{Path: text[one.path:one.end], Package: one.pkg, Type: one.typ, Sum: text[one.at:one.path]}
	}
	return out
}

func isHex(digits []byte) bool {
	for _, d := range digits {
		if (d < '0' || d > '9') && (d < 'a' || d > 'f') {
			return false
		}
	}
	return true
}

// metadata reports whether path is one that the inventory asks the owner of,
// though it is no program.
func metadata(path []byte) bool {
	name := path[bytes.LastIndexByte(path, '/')+1:]
	switch string(name[max(len(name)-4, 0):]) {
	case "DATA", "INFO", "json", "info", "spec", ".php", "ease", "TION", ".reg", ".app", "conf", ".whl": // the ends of what it knows
		return inventory.Ownable(string(path))
	}
	return false
}

// mayRun reports whether a file of that path could be run or loaded.
func mayRun(path []byte) bool {
	if metadata(path) {
		return true
	}
	name := path[bytes.LastIndexByte(path, '/')+1:]
	ext := name[bytes.LastIndexByte(name, '.')+1:]
	if len(ext) == len(name) {
		ext = nil
	}
	if quiet(path) {
		return script(ext) || bytes.Contains(path, []byte("/examples/")) || bytes.Contains(path, []byte("/scripts/"))
	}
	return !data(ext)
}

// quiet reports whether path lies where programs are not expected: usr/include,
// usr/src and the documentation and data below usr/share.
func quiet(path []byte) bool {
	rest, ok := bytes.CutPrefix(path, []byte("usr/"))
	if !ok {
		return false
	}
	top, rest, _ := bytes.Cut(rest, []byte("/"))
	switch string(top) {
	case "include", "src":
		return true
	case "share":
	default:
		return false
	}
	folder, _, _ := bytes.Cut(rest, []byte("/"))
	switch string(folder) {
	case "doc", "man", "info", "locale", "icons", "fonts", "zoneinfo", "i18n", "lintian", "mime", "pixmaps",
		"applications", "metainfo", "help", "gtk-doc", "doc-base", "terminfo", "mime-info", "licenses", "gir-1.0", "vala", "X11":
		return true
	}
	return false
}

// script reports whether ext is one that programs in text have.
func script(ext []byte) bool {
	switch string(ext) {
	case "sh", "py", "pl", "rb", "js", "so", "awk", "tcl", "lua", "php", "bash":
		return true
	}
	return false
}

// data reports whether ext is one of data, which is neither run nor loaded as
// code.
func data(ext []byte) bool {
	switch string(ext) {
	case "h", "hpp", "hh", "hxx", "inc", "inl", "tcc", "ipp", "idl", "pxd", "pyi", "pyc", "la", "pc", "cmake", "m4",
		"gz", "xz", "bz2", "zst", "png", "svg", "gif", "jpg", "jpeg", "ico", "xpm", "webp", "ttf", "otf", "woff", "woff2", "eot", "pfb", "afm",
		"mo", "po", "qm", "html", "htm", "css", "scss", "less", "map", "md", "txt", "rst", "pod", "tex", "sty", "pdf", "ps", "xml", "xsl", "xsd", "dtd", "rng",
		"json", "yaml", "yml", "toml", "ini", "conf", "cfg", "csv", "tsv", "dat", "properties", "sql",
		"service", "socket", "timer", "target", "mount", "rules", "desktop", "pem", "crt", "typelib", "gresource", "ogg", "wav", "mp3", "elc":
		return true
	}
	return false
}
