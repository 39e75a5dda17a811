package apk

import (
	"bufio"
	"bytes"
	"io"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// database is what was read so far: the packages, and the one that is being
// read, with the directory that its files are listed under and the last of them.
type database struct {
	packages []inventory.Component
	claims   scan.Claims
	inventory.Component
	dir  []byte
	file file
}

func parse(r io.Reader) (inventory.Found, error) {
	var db database
	err := db.read(r)
	return inventory.Found{Components: db.packages, Owned: db.claims.Owned()}, err
}

func (db *database) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), lineSize)
	for lines.Scan() {
		line := lines.Bytes()
		var err error
		switch {
		case len(line) == 0:
			err = db.flush()
		case len(line) < 2 || line[1] != ':':
			err = fault.Errorf(fault.Invalid, "line %.80q is not FIELD:VALUE", line)
		default:
			err = db.field(line[0], line[2:])
		}
		if err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return db.flush()
}

// field takes what one line says. A package has one name, version, architecture
// and origin: of two, readers would take different ones.
func (db *database) field(name byte, value []byte) error {
	var to *string
	switch name {
	case 'P':
		to = &db.Name
	case 'V':
		to = &db.Version
	case 'A':
		to = &db.Arch
	case 'o':
		to = &db.SourceName
	case 'L':
		db.Licences = []string{string(value)}
	case 'm':
		db.Vendor = scan.Plain(string(value), maxText)
	case 'F':
		err := db.claim()
		db.dir = append(db.dir[:0], value...)
		return err
	case 'R':
		err := db.claim()
		db.file.begin(db.dir, value)
		return err
	case 'a':
		db.file.mode(value)
	case 'Z':
		db.file.checksum(value)
	}
	if to == nil {
		return nil
	}
	if *to != "" {
		return fault.Errorf(fault.Invalid, "the field %q of package %q is there twice", name, db.Name)
	}
	*to = string(value)
	return nil
}

// claim notes the last file.
func (db *database) claim() error {
	f := &db.file
	if len(f.path) == 0 || db.Name == "" {
		return nil
	}
	path := f.path
	f.path = f.path[:0]
	if f.run || code(path) {
		return db.claims.AddRunnable(path, db.Name, inventory.Apk, f.algorithm, f.digits)
	}
	return nil
}

// code reports whether a file without an execute bit may be loaded as code, or
// is metadata of a language's package.
func code(path []byte) bool {
	name := path[bytes.LastIndexByte(path, '/')+1:]
	return bytes.Contains(name, []byte(".so")) || bytes.HasSuffix(name, []byte(".ko")) || bytes.HasSuffix(name, []byte(".node")) ||
		bytes.HasSuffix(name, []byte(".jar")) || inventory.MayOwn(string(name))
}

// flush adds the package that was read to the others.
func (db *database) flush() error {
	if err := db.claim(); err != nil {
		return err
	}
	c := db.Component
	if c.Name == "" {
		if c.Version != "" || len(db.dir) > 0 {
			return fault.Errorf(fault.Invalid, "a record names no package")
		}
		return nil
	}
	c.Kind, c.Type, c.SourceVersion = inventory.OS, inventory.Apk, c.Version
	if c.SourceName == "" {
		c.SourceName = c.Name
	}
	if db.packages = append(db.packages, c); len(db.packages) > scan.MaxComponents {
		return fault.Errorf(fault.Invalid, "more than %d packages", scan.MaxComponents)
	}
	db.Component, db.dir, db.file.path = inventory.Component{}, db.dir[:0], db.file.path[:0]
	return nil
}
