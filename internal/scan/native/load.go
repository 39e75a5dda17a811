package native

import (
	"bytes"
	_ "embed" // for the built-in products
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"sync"

	"github.com/goccy/go-yaml"

	"plimsoll/internal/fault"
)

// builtinProducts is what is recognised of the products in the folder products, in
// a form that is read ten times faster. A test keeps it so, and writes it:
//
//	go test ./internal/scan/native -run TestBuiltinIsWhatTheFilesSay -update
//
//go:embed products.json
var builtinProducts []byte

// Bounds of files of products.
const (
	maxProductFile = 4 << 20 // bytes
	maxProducts    = 10_000
)

// Load reads the products in the files *.yaml of fsys, in the order of their
// names. An error names the file and what is wrong in it.
func Load(fsys fs.FS) ([]Product, error) {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list files of products: %w", err)
	}
	var all []Product
	for _, name := range names {
		products, err := loadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("read products %q: %w", name, err)
		}
		if all = append(all, products...); len(all) > maxProducts {
			return nil, fault.Errorf(fault.Invalid, "there are more than %d products", maxProducts)
		}
	}
	return all, nil
}

func loadFile(fsys fs.FS, name string) ([]Product, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxProductFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxProductFile {
		return nil, fault.Errorf(fault.Invalid, "it is larger than %d bytes", maxProductFile)
	}
	products, err := decode(content)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.Errorf(fault.Invalid, "%w", err)
	}
	for i := range products {
		if err := products[i].check(); err != nil {
			return nil, err
		}
	}
	return products, nil
}

// decode decodes a file of products. The library panics on some malformed lists.
func decode(content []byte) (products []Product, err error) {
	defer func() {
		if p := recover(); p != nil {
			products, err = nil, errors.New("it is not a list of products")
		}
	}()
	err = yaml.NewDecoder(bytes.NewReader(content), yaml.Strict()).Decode(&products)
	return products, err
}

// Builtin returns the products that plimsoll knows by itself, without the facts
// and samples behind them. The list is read once and must not be changed.
var Builtin = sync.OnceValues(decodeBuiltin)

func decodeBuiltin() (products []Product, err error) {
	if err := json.Unmarshal(builtinProducts, &products); err != nil {
		return nil, fmt.Errorf("read built-in products: %w", err)
	}
	return products, nil
}

// builtinSum is a sum of the products that are built in.
var builtinSum = sync.OnceValue(func() uint32 { return crc32.ChecksumIEEE(builtinProducts) })
