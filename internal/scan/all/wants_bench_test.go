package all_test

import (
	"bytes"
	"testing"

	"plimsoll/internal/image"
	"plimsoll/internal/scan/all"
)

// BenchmarkWants asks each extractor about files that hardly any reads.
func BenchmarkWants(b *testing.B) {
	head := bytes.Repeat([]byte("{\"some\": \"text\"}\n"), 30)
	paths := []string{
		"usr/share/doc/libfoo/README", "app/node_modules/lodash/fp/_baseConvert.js", "usr/lib/python3/dist-packages/x/__pycache__/a.cpython-311.pyc",
		"usr/share/i18n/locales/de_DE", "app/node_modules/a/tsconfig.json", "etc/alternatives/README",
	}
	for _, x := range all.Extractors(nil) {
		b.Run(x.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				x.Wants(image.Entry{Path: paths[i%len(paths)], Size: 510}, head)
			}
		})
	}
}
