package native

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"sync"

	"github.com/goccy/go-yaml"

	"plimsoll/internal/fault"
)

//go:embed products/*.yaml
var builtinFiles embed.FS

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
	var products []Product
	err = yaml.NewDecoder(bytes.NewReader(content), yaml.Strict()).Decode(&products)
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

// Builtin returns the products that plimsoll knows by itself. The list is read
// once and must not be changed.
var Builtin = sync.OnceValues(loadBuiltin)

func loadBuiltin() ([]Product, error) {
	dir, err := fs.Sub(builtinFiles, "products")
	if err != nil {
		return nil, err
	}
	return Load(dir)
}

// builtinSum is a sum of the files that are built in, without parsing them.
var builtinSum = sync.OnceValue(func() uint32 {
	sum := crc32.NewIEEE()
	entries, _ := builtinFiles.ReadDir("products") // embedded: it cannot fail
	for _, e := range entries {
		content, _ := builtinFiles.ReadFile(path.Join("products", e.Name()))
		sum.Write(content)
	}
	return sum.Sum32()
})
