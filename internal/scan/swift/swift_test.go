package swift

import (
	"testing"

	"plimsoll/internal/scan/scantest"
)

func TestExtract(t *testing.T) {
	scantest.Run(t, Extractor{}, []scantest.Case{
		{
			"form 1", "app/Package.resolved", `{"object": {"pins": [{"package": "NIO", "repositoryURL": "git@github.com:apple/swift-nio.git", "state": {"branch": null, "revision": "x", "version": "2.0.0"}}]}, "version": 1}`,
			[]string{"github.com/apple/swift-nio 2.0.0"},
			nil, "app/.build",
		},
		{
			"form 2", "app/Package.resolved", scantest.Data(t, "Package.resolved"),
			[]string{"github.com/apple/swift-algorithms 1.0.0", "github.com/apple/swift-async-algorithms 0.1.0", "github.com/apple/swift-atomics 1.1.0", "github.com/apple/swift-collections 1.0.4", "github.com/apple/swift-numerics 1.0.2"},
			nil, "app/.build",
		},
		{
			"form 3", "app/Package.resolved", scantest.Data(t, "PackageV3.resolved"),
			[]string{"github.com/apple/swift-syntax 509.1.1"},
			nil, "app/.build",
		},
		{"a branch", "Package.resolved", `{"pins": [{"location": "https://example.com/a/b", "state": {"branch": "main"}}]}`, nil, nil, ".build"},
	})
}

func TestExtractRefuses(t *testing.T) {
	scantest.Refuses(t, Extractor{}, map[string]string{
		"Package.resolved": "[]",
	})
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "Package.resolved", `{"pins": [{"location": "https://u@h/a/b.git/", "state": {"version": "1"}}]}`, `{"object": {"pins": []}}`)
}
