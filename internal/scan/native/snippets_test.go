package native

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

// snippetsFolder finds the public excerpts of binaries (anchore/syft, Apache-2.0)
// that lie beside the repository; "" if they do not.
func snippetsFolder() string {
	for _, up := range []string{"../../../..", "../../../../.."} {
		dir := filepath.Join(up, "shared", "native-samples")
		if _, err := os.Stat(filepath.Join(dir, "expected.tsv")); err == nil {
			return dir
		}
	}
	return ""
}

var readSnippets = sync.OnceValues(func() (map[string][]byte, error) {
	f, err := os.Open(filepath.Join(snippetsFolder(), "snippets.tar.zst"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(1<<27))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	all := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		// A header of text names the file and its version.
		if _, after, ok := bytes.Cut(content, []byte("### byte snippet to follow ###\n")); ok {
			content = after
		}
		all[strings.TrimPrefix(h.Name, "./")] = content
	}
})

// snippets returns the public excerpts by path. It is empty if they are not at
// hand, which continuous integration does not accept.
func snippets(t *testing.T) map[string][]byte {
	t.Helper()
	if snippetsFolder() == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("../shared/native-samples is missing")
		}
		return nil
	}
	all, err := readSnippets()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// aliases are our names of products that the expected list calls otherwise.
var aliases = map[string]string{
	"ffmpeg-shared-libs":             "ffmpeg",
	"heimdal-krb5":                   "heimdal",
	"java-graal-openjdk":             "graalvm",
	"java-jdk-oracle":                "oracle-jdk",
	"java-jre-openjdk":               "openjdk",
	"java-jre-openjdk-arm64-eclipse": "openjdk",
	"java-jre-openjdk-eclipse":       "openjdk",
	"java-jre-oracle":                "oracle-jdk",
	"java-jre-oracle-sdk":            "oracle-jdk",
	"nginx-openresty":                "openresty",
	"php-apache":                     "php",
	"pypy-shared-lib":                "pypy",
	"postgres":                       "postgresql",
	"redis-server":                   "redis",
	"swipl":                          "swi-prolog",
	"valkey-server":                  "valkey",
}

// shows are the rows of the expected list whose excerpt does not hold the version
// that the row names but another one: the one that was released as it, without
// what was still to come.
var shows = map[string]string{
	"fluent-bit/1.7.0-dev-3/linux-amd64/fluent-bit":        "1.7.0",
	"julia/1.13.0-alpha2/linux-amd64/libjulia-internal.so": "1.13.0",
	"julia/1.13.0-beta3/linux-amd64/libjulia-internal.so":  "1.13.0",
}

// wrong are rows of the expected list that no honest recogniser can meet.
var wrong = map[string]string{
	"gcc/12.3.0/linux-amd64/gcc": "the excerpt holds no more than the mark that a compiler leaves in every program that it compiles",
}

// TestSnippets: every public excerpt that shows its product and version is
// recognised.
func TestSnippets(t *testing.T) {
	all := snippets(t)
	if len(all) == 0 {
		t.Skip("the public snippets are not beside the repository")
	}
	rows, err := os.ReadFile(filepath.Join(snippetsFolder(), "expected.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(rows)) {
		row := strings.Split(strings.TrimSpace(line), "\t")
		if len(row) != 3 || strings.HasPrefix(line, "#") {
			continue
		}
		product, version, path := row[0], row[1], row[2]
		if a, ok := aliases[product]; ok {
			product = a
		}
		t.Run(path, func(t *testing.T) {
			if reason, ok := wrong[path]; ok {
				t.Skip(reason)
			}
			if v, ok := shows[path]; ok {
				version = v
			}
			content := all["snippets/"+path]
			found, err := extractor(t).Extract(t.Context(), scantest.File("x", wrap(content, nil, "")))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range found.Components {
				if c.Name == product && (c.Version == version || c.Type == inventory.Deb && upstream(c.Version) == version) {
					return
				}
			}
			t.Errorf("found %q, want %s %s", scantest.Summary(found.Components), product, version)
		})
	}
}

// TestNegativeSnippets: nothing is recognised where nothing is to be.
func TestNegativeSnippets(t *testing.T) {
	all := snippets(t)
	if len(all) == 0 {
		t.Skip("the public snippets are not beside the repository")
	}
	for path, content := range all {
		if !strings.HasPrefix(path, "negative/") {
			continue
		}
		found, err := extractor(t).Extract(t.Context(), scantest.File("x", wrap(content, nil, "")))
		if err != nil || len(found.Components) > 0 {
			t.Errorf("%s: found %q, %v", path, scantest.Summary(found.Components), err)
		}
	}
}

// upstream returns a Debian version without epoch and revision.
func upstream(version string) string {
	if _, after, ok := strings.Cut(version, ":"); ok {
		version = after
	}
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		version = version[:i]
	}
	return version
}
