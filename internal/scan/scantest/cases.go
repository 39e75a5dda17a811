package scantest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/scan"
)

// A Case is a file that an extractor reads, and what it is to find.
type Case = struct {
	Name, Path, Content string
	Want                []string // components, as [Summary] writes them
	Owned               []string // "path package sum"
	Unless              string
}

// Run checks that x wants the file of each case and finds in it what it says.
func Run(t *testing.T, x scan.Extractor, cases []Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if !Wants(x, c.Path, []byte(c.Content)) {
				t.Error("not wanted")
			}
			found, err := x.Extract(t.Context(), File(c.Path, []byte(c.Content)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.Want, Summary(found.Components)); diff != "" || found.Unless != c.Unless {
				t.Errorf("unless %q, components (-want +got):\n%s", found.Unless, diff)
			}
			var owned []string
			for _, o := range found.Owned {
				owned = append(owned, o.Path+" "+o.Package+" "+o.Sum)
			}
			if diff := cmp.Diff(c.Owned, owned); diff != "" {
				t.Errorf("owned (-want +got):\n%s", diff)
			}
		})
	}
}

// Refuses checks that x makes an error of each content, by path.
func Refuses(t *testing.T, x scan.Extractor, contents map[string]string) {
	t.Helper()
	for path, content := range contents {
		if _, err := x.Extract(t.Context(), File(path, []byte(content))); err == nil {
			t.Errorf("%s: %.60q is taken", path, content)
		}
	}
}

// Data returns a file of the package's testdata.
func Data(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
