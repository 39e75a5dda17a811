package conan

import (
	"testing"

	"plimsoll/internal/scan/scantest"
)

func TestExtract(t *testing.T) {
	scantest.Run(t, Extractor{}, []scantest.Case{
		{
			"Conan 1", "app/conan.lock", scantest.Data(t, "conan-1.lock"),
			[]string{"boost 1.75.0", "bzip2 1.0.8", "libbacktrace cci.20210118", "tinyxml2 9.0.0", "zlib 1.2.12", "my_user/mfast 1.2.2"},
			nil, "app/build",
		},
		{"Conan 2", "app/conan.lock", scantest.Data(t, "conan-2.lock"), []string{"matrix 1.1", "sound32 1.0"}, nil, "app/build"},
		{"tools", "conan.lock", `{"requires": ["nonsense", "a/1@_/_"], "build_requires": ["cmake/3.0"], "graph_lock": {"nodes": {"1": {"ref": "cmake/3.0", "context": "build"}}}}`, nil, nil, "build"},
	})
}

func TestExtractRefuses(t *testing.T) {
	scantest.Refuses(t, Extractor{}, map[string]string{
		"conan.lock": "{",
	})
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "conan.lock", `{"requires": ["a/1@u/c#r%t"], "graph_lock": {"nodes": {"1": {"ref": "b/2"}}}}`)
}
