package native_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing/fstest"

	"plimsoll/internal/image"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/native"
)

// A folder of one's own products, beside those that are built in.
func Example() {
	folder := fstest.MapFS{"ours.yaml": {Data: []byte(`
- product: frobnicator
  vendor: example
  purl: pkg:generic/frobnicator
  fact: "frob.c, usage()"
  kind: application
  patterns:
    - anchor: "frobnicator version "
      regexp: '\x00frobnicator version (?P<version>[0-9.]+)\n'
      own: true
  samples: [{file: frobnicator-1.2.3.bin, version: 1.2.3}]
`)}}
	own, err := native.Load(folder)
	if err != nil {
		fmt.Println(err)
		return
	}
	builtin, err := native.Builtin()
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := native.NewSet(slices.Concat(builtin, own))
	if err != nil {
		fmt.Println(err)
		return
	}

	program := []byte("\x7fELF\x02\x01\x01" + string(make([]byte, 64)) + "frobnicator version 1.2.3\n\x00")
	content := bytes.NewReader(program)
	found, err := native.Extractor{Set: set}.Extract(context.Background(), scan.File{
		Entry: image.Entry{Path: "opt/renamed", Size: content.Size()},
		Spill: func() (scan.ReaderAt, error) { return content, nil },
	})
	for _, c := range found.Components {
		fmt.Println(c.Relation, c.Name, c.Version, err)
	}
	// Output: contains frobnicator 1.2.3 <nil>
}
