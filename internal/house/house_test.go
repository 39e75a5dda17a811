// Package house holds the test that keeps the imports between packages as
// DESIGN draws them: a package imports only from rows above its own, and within
// a row only what is said here.
package house

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rows are the packages by row; a name that ends in "/" stands for everything
// below it.
var rows = [][]string{
	{"fault", "inventory", "advisory", "finding", "profile", "verdict", "policy", "ref", "idmap", "knownbad"},
	{"durable"},
	{"key", "key/", "oci", "trust", "trust/", "image", "image/", "rootfs", "scan", "scan/", "pack", "match", "gate", "seal", "seal/", "audit"},
	{"store", "feed", "registry", "notary", "engine", "agent", "host", "admission", "web"},
	{"app", "cli", "shim"},
	{"tools/", "house"},
}

// within are the imports that are allowed inside a row. fault and ref are words
// that every package may use.
var within = map[string][]string{
	"inventory":      {"fault", "ref"},
	"advisory":       {"fault"},
	"finding":        {"inventory", "advisory", "ref", "fault"},
	"profile":        {"fault"},
	"ref":            {"fault"},
	"idmap":          {"fault"},
	"knownbad":       {"inventory", "fault"},
	"verdict":        {"profile", "ref", "fault"},
	"policy":         {"finding", "inventory", "advisory", "profile", "verdict", "ref", "fault"},
	"key/":           {"key"},
	"trust":          {"key"},
	"trust/":         {"trust"},
	"trust/ocistore": {"trust", "oci"},
	"trust/codesign": {"key"},
	"trust/sigstore": {"key", "oci", "trust/codesign"},
	"trust/notation": {"key", "oci", "trust/codesign"},
	"trust/envelope": {"trust", "trust/", "key", "oci"},
	"image":          {"oci", "image/"},
	"rootfs":         {"image"},
	"scan":           {"image"},
	"scan/":          {"scan", "image", "scan/metadata", "scan/zipdir"},
	"scan/all":       {"scan", "scan/"},
	"scan/native":    {"scan/exe"},
	"scan/cargo":     {"scan/exe"},
	"scan/graal":     {"scan/exe"},
	"gate":           {"image", "key", "trust", "scan", "match"},
	"seal":           {"seal/"},
	"seal/":          {"seal/seccomp", "seal/protocol"},
	"cli":            {"app"},
	"app":            {},
	"tools/":         {"tools/"},
}

const (
	module = "plimsoll/internal/"
	mains  = "plimsoll/cmd/"
)

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImportsFollowTheRows(t *testing.T) {
	for _, p := range packages(t) {
		name, ok := strings.CutPrefix(p.ImportPath, module)
		if !ok {
			continue
		}
		from := row(name)
		if from < 0 {
			t.Errorf("%s is in no row: give it a room in this test and in docs/design", name)
			continue
		}
		for _, i := range p.Imports {
			dep, ok := strings.CutPrefix(i, module)
			if !ok {
				continue
			}
			switch to := row(dep); {
			case to > from:
				t.Errorf("%s imports %s, which is in a row below it", name, dep)
			case to == from && !allowed(name, dep):
				t.Errorf("%s imports %s in its own row, which is not drawn", name, dep)
			}
		}
	}
}

func TestWordsAndRulesTouchNothing(t *testing.T) {
	forbidden := []string{"net", "net/http", "database/sql", "os/exec"}
	for _, p := range packages(t) {
		name, ok := strings.CutPrefix(p.ImportPath, module)
		if !ok || row(name) != 0 {
			continue
		}
		for _, i := range p.Imports {
			if slices.Contains(forbidden, i) && (name != "ref" || i != "net") { // ref splits host and port
				t.Errorf("%s imports %s", name, i)
			}
		}
	}
}

func TestMainsAreSmall(t *testing.T) {
	for _, p := range packages(t) {
		if !strings.HasPrefix(p.ImportPath, mains) {
			continue
		}
		for _, i := range p.Imports {
			if dep, ok := strings.CutPrefix(i, module); ok && dep != "cli" && dep != "shim" {
				t.Errorf("%s imports %s: a main only calls cli or shim", p.ImportPath, dep)
			}
		}
	}
}

// TestTheRuntimeIsLight keeps out of the runtime what would cost every container a
// part of its start: an engine calls it several times for each.
func TestTheRuntimeIsLight(t *testing.T) {
	const main = "plimsoll/cmd/plimsoll-runtime"
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", main)
	cmd.Env = append(os.Environ(), "GOOS=linux")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, module+"shim") {
		t.Fatalf("%s does not start the shim: %q", main, deps)
	}
	for _, dep := range deps {
		for _, heavy := range []string{"net/http", "crypto/tls", "database/sql", "modernc.org/", "google.golang.org/", "github.com/google/cel-go", "github.com/moby/moby", "regexp", "github.com/opencontainers/go-digest", "github.com/opencontainers/image-spec", "gopkg.in/", "go.yaml.in/"} {
			if dep == strings.TrimSuffix(heavy, "/") || strings.HasPrefix(dep, strings.TrimSuffix(heavy, "/")+"/") {
				t.Errorf("%s needs %s", main, dep)
			}
		}
		if name, ok := strings.CutPrefix(dep, module); ok && !slices.Contains([]string{"fault", "ref", "profile", "verdict", "idmap", "durable", "seal", "shim"}, name) && !strings.HasPrefix(name, "seal/") {
			t.Errorf("%s needs %s", main, dep)
		}
	}
}

func row(name string) int {
	for i, names := range rows {
		for _, n := range names {
			if n == name || (strings.HasSuffix(n, "/") && strings.HasPrefix(name, n)) {
				return i
			}
		}
	}
	return -1
}

func allowed(from, to string) bool {
	for name, deps := range within {
		if name != from && (!strings.HasSuffix(name, "/") || !strings.HasPrefix(from, name)) {
			continue
		}
		for _, d := range deps {
			if d == to || (strings.HasSuffix(d, "/") && strings.HasPrefix(to, d)) {
				return true
			}
		}
	}
	return false
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "plimsoll/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
