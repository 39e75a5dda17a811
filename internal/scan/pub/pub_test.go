package pub

import (
	"testing"

	"plimsoll/internal/scan/scantest"
)

func TestExtract(t *testing.T) {
	scantest.Run(t, Extractor{}, []scantest.Case{
		{
			"a lock file", "app/pubspec.lock", scantest.Data(t, "pubspec.lock"),
			[]string{"ale 3.3.0", "analyzer 0.40.7", "ansicolor 1.1.1", "archive 2.0.13", "args 1.6.0"},
			nil, "app/.dart_tool",
		},
		{
			"for development only", "app/pubspec.lock", "packages:\n  \"a\":\n    dependency: \"direct dev\"\n    source: hosted\n    version: \"1\"\n  b:\n    source: hosted\n    version: \"2\"\nsdks:\n  dart: \"3\"\n",
			[]string{"b 2"},
			nil, "app/.dart_tool",
		},
	})
}

func TestExtractRefuses(t *testing.T) {
	scantest.Refuses(t, Extractor{}, map[string]string{
		"a line without end": string(make([]byte, 2<<20)),
	})
}

func TestWants(t *testing.T) {
	for _, path := range []string{"app/pubspec.yaml", "home/u/.pub-cache/fixtures/pubspec.lock"} {
		if scantest.Wants(Extractor{}, path, []byte("Package: ")) {
			t.Errorf("%s is wanted", path)
		}
	}
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "pubspec.lock", "packages:\n  a:\n    source: hosted\n    version: \"1\"\n")
}
