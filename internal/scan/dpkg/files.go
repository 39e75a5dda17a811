package dpkg

import (
	"bytes"
	"io"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// foreign is where npm installs what it fetches; Debian's own npm packages lie
// in usr/share/nodejs.
const foreign = "usr/lib/node_modules/"

// md5Size is what stands before the path in a list of sums: the digits, a
// space, and a space or an asterisk.
const md5Size = 32 + 2

// listed claims programs and libraries of a list, and metadata of a language's
// packages. dpkg writes the sums of every package beside its list, so that what
// else is listed would be said twice; these are kept for images whose sums
// somebody removed. Folders are in the list, too, each before what lies in it,
// which tells them.
func listed(r io.Reader, pkg string, claims *scan.Claims) error {
	var last []byte
	err := lines(r, func(line []byte, whole bool) error {
		if !whole {
			line = nil
		}
		folder := len(line) > len(last) && line[len(last)] == '/' && bytes.HasPrefix(line, last)
		if !folder && program(last) {
			if err := claim(claims, last, pkg, nil); err != nil {
				return err
			}
		}
		last = append(last[:0], line...)
		return nil
	})
	if err != nil {
		return err
	}
	if !program(last) {
		return nil
	}
	return claim(claims, last, pkg, nil)
}

// program reports whether a path by itself says that a program, a library or
// metadata lies there.
func program(path []byte) bool {
	i := max(bytes.LastIndexByte(path, '/'), 0)
	dir, name := path[:i], path[i:]
	switch string(dir[bytes.LastIndexByte(dir, '/')+1:]) {
	case "bin", "sbin", "games", "libexec":
		return true
	}
	return bytes.Contains(name, []byte(".so")) || inventory.Ownable(string(bytes.TrimPrefix(path, []byte("/"))))
}

// summed claims the paths of a list of MD5 sums, in the form of md5sum(1).
func summed(r io.Reader, pkg string, claims *scan.Claims) error {
	return lines(r, func(line []byte, whole bool) error {
		if !whole || len(line) <= md5Size || line[32] != ' ' {
			return nil
		}
		return claim(claims, bytes.TrimPrefix(line[md5Size:], []byte("./")), pkg, line[:32])
	})
}

func claim(claims *scan.Claims, path []byte, pkg string, md5 []byte) error {
	if bytes.Contains(path, []byte(foreign)) && bytes.HasSuffix(path, []byte("/package.json")) {
		return nil
	}
	return claims.Add(path, pkg, inventory.Deb, "md5", md5)
}

// diverted claims the places that dpkg-divert(1) moved files to: three lines
// each, where the file would lie, where it lies, and the package that wanted it
// so, or a colon if a person did. Which package brought the file is not said; it
// is known by who wanted the other place, or as dpkg's.
func diverted(r io.Reader, claims *scan.Claims) error {
	var to []byte
	n := 0
	return lines(r, func(line []byte, whole bool) error {
		if !whole {
			line = nil
		}
		n++
		switch n % 3 {
		case 2:
			to = append(to[:0], line...)
		case 0:
			pkg := string(line)
			if pkg == ":" {
				pkg = "dpkg"
			}
			return claim(claims, to, pkg, nil)
		}
		return nil
	})
}
