package house

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// TestEveryPackageIsDrawn demands that docs/design/house.md names every package
// in the row that it is in.
func TestEveryPackageIsDrawn(t *testing.T) {
	b, err := os.ReadFile("../../docs/design/house.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string // of the table, by row
	for line := range strings.Lines(string(b)) {
		if regexp.MustCompile(`^\| [0-9]a? `).MatchString(line) {
			lines = append(lines, line)
		}
	}
	if len(lines) != len(rows) {
		t.Fatalf("%d rows are drawn, there are %d", len(lines), len(rows))
	}
	for _, p := range packages(t) {
		name, ok := strings.CutPrefix(p.ImportPath, module)
		if !ok {
			continue
		}
		parent, _, below := strings.Cut(name, "/")
		line := lines[row(name)]
		if drawn := strings.Contains(line, "`"+parent+"`") || below && strings.Contains(line, "`"+parent+"/…`"); !drawn {
			t.Errorf("%q of house.md does not name %s", line, parent)
		}
	}
}

var braces = regexp.MustCompile(`^(.*)\{(.*)\}(.*)$`)

// TestEveryDependencyHasItsReason compares go.mod with docs/dependencies.md.
func TestEveryDependencyHasItsReason(t *testing.T) {
	b, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(b), -1) {
		if alternatives := braces.FindStringSubmatch(m[1]); alternatives != nil {
			for one := range strings.SplitSeq(alternatives[2], ",") {
				reasons[alternatives[1]+one+alternatives[3]] = true
			}
			continue
		}
		reasons[m[1]] = true
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.Parse("go.mod", mod, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range file.Require {
		if !r.Indirect && !reasons[r.Mod.Path] {
			t.Errorf("dependencies.md gives no reason for %s", r.Mod.Path)
		}
		if !r.Indirect {
			delete(reasons, r.Mod.Path)
		}
	}
	for path := range reasons {
		t.Errorf("dependencies.md gives a reason for %s, which go.mod does not require", path)
	}
}
