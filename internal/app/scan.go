package app

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/knownbad"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/all"
	"plimsoll/internal/scan/native"
)

// maxList bounds a list of bad files, bytes.
const maxList = 256 << 20

// Scanner returns a scanner with all extractors, and what the settings name
// beside them. It keeps the facts of layers under the folder of state unless
// fresh is set, and tells warn, unless it is nil, what went wrong with them; warn
// may be called concurrently. A list or a description that cannot be read is an
// error: what it would find would be missed in silence.
func (s Settings) Scanner(fresh bool, warn func(error)) (*scan.Scanner, error) {
	products, err := s.products()
	if err != nil {
		return nil, err
	}
	bad, err := s.knownBad()
	if err != nil {
		return nil, err
	}
	c := scan.Config{Extractors: all.Extractors(products), Bad: bad, Warn: warn}
	if !fresh {
		c.Cache = scan.Folder{Path: filepath.Join(s.Data, "cache", "layers")}
	}
	return scan.New(c), nil
}

// products returns what native code is recognised by, nil for what is built in
// alone.
func (s Settings) products() (*native.Set, error) {
	if s.Products == "" {
		return nil, nil //nolint:nilnil // the built-in ones
	}
	products, err := native.Builtin()
	if err != nil {
		return nil, err
	}
	for dir := range strings.SplitSeq(s.Products, ",") {
		dir = strings.TrimSpace(dir)
		if _, err := os.Stat(dir); err != nil {
			return nil, fault.As(fault.Invalid, fmt.Errorf("descriptions of native code: %w", err))
		}
		more, err := native.Load(os.DirFS(dir))
		if err != nil {
			return nil, err
		}
		if len(more) == 0 {
			return nil, fault.Errorf(fault.Invalid, "folder %q has no file *.yaml of descriptions of native code", dir)
		}
		products = append(products, more...)
	}
	return native.NewSet(products)
}

// knownBad reads the lists of bad files, nil if there are none.
func (s Settings) knownBad() (inventory.Bad, error) {
	if s.KnownBad == "" {
		return nil, nil //nolint:nilnil // nothing is asked
	}
	var r knownbad.Reader
	for file := range strings.SplitSeq(s.KnownBad, ",") {
		file = strings.TrimSpace(file)
		text, err := readBounded(file, maxList)
		if err != nil {
			return nil, fault.As(fault.Invalid, fmt.Errorf("list of bad files: %w", err))
		}
		if err := r.Read(bytes.NewReader(text)); err != nil {
			return nil, fault.As(fault.Invalid, fmt.Errorf("list of bad files %q: %w", file, err))
		}
	}
	return r.List(), nil
}
