package brew

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestWorkedExample: docs/scan-extractor.md shows this package's own code.
func TestWorkedExample(t *testing.T) {
	page, err := os.ReadFile("../../../docs/scan-extractor.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, name := range []string{"brew.go", "brew_test.go", "../all/all.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(b)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 5 {
		t.Errorf("%d pieces of code", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(code.String(), b[1]) {
			t.Errorf("not in the code:\n%s", b[1])
		}
	}
}
