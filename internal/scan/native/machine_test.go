package native

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/exe"
	"plimsoll/internal/scan/scantest"
)

// TestMachine is a tool for whoever writes patterns: it recognises what is in
// folders of this machine and prints it with the package that owns each file, to
// be judged by a person.
//
//	PLIMSOLL_NATIVE_FOLDERS=/usr/bin:/usr/lib go test -v -run TestMachine ./internal/scan/native
func TestMachine(t *testing.T) {
	folders := os.Getenv("PLIMSOLL_NATIVE_FOLDERS")
	if folders == "" {
		t.Skip("PLIMSOLL_NATIVE_FOLDERS names no folders")
	}
	extractor(t)
	start, size := time.Now(), int64(0)
	found := map[string][]inventory.Component{}
	for _, folder := range filepath.SplitList(folders) {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			components, n := recogniseFile(t, path)
			size += n
			if len(components) > 0 {
				found[path] = components
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d bytes in %v", size, time.Since(start))
	var lines []string
	owners := owners(t, found)
	for path, components := range found {
		for _, c := range components {
			lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%.2f\t%s\t%s", c.Name, c.Version, c.Relation, c.Evidence[0].Confidence, path, owners[path]))
		}
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Println(l)
	}
}

func recogniseFile(t *testing.T, path string) ([]inventory.Component, int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Error(err)
		return nil, 0
	}
	defer f.Close()
	head := make([]byte, 512)
	if n, _ := f.ReadAt(head, 0); exe.Sniff(head[:n]) == exe.None {
		return nil, 0
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return nil, 0
	}
	all, err := extractor(t).Extract(t.Context(), scantest.File(path, content))
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return all.Components, int64(len(content))
}

// owners asks dpkg which packages brought the files.
func owners(t *testing.T, files map[string][]inventory.Component) map[string]string {
	t.Helper()
	out := map[string]string{}
	var args []string
	for path := range files {
		args = append(args, path)
		args = append(args, strings.TrimPrefix(path, "/usr"))
	}
	for part := range slices.Chunk(args, 500) {
		answer, _ := exec.CommandContext(t.Context(), "dpkg", append([]string{"-S"}, part...)...).Output() // some have no owner
		for s := bufio.NewScanner(bytes.NewReader(answer)); s.Scan(); {
			if owner, path, ok := strings.Cut(s.Text(), ": "); ok {
				out[path] = owner
				out["/usr"+path] = owner
			}
		}
	}
	return out
}
