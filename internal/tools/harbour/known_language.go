package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// knownGo makes the layer of two Go programs, one of them stripped. What is in
// them is what Go's own tool says.
func (b *builder) knownGo(ctx context.Context, f *facts) ([]layer, error) {
	dir, err := b.workspace("old", map[string]string{"SET/go.mod.txt": "go.mod", "SET/go.sum.txt": "go.sum", "pilot.go.txt": "pilot.go"})
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	env := []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly"}
	for _, args := range [][]string{{"-o", "out/pilot"}, {"-ldflags=-s -w", "-o", "out/.hidden-pilot"}} {
		if err := command(ctx, dir, env, "go", append([]string{"build", "-trimpath", "-buildvcs=false"}, append(args, ".")...)...); err != nil {
			return nil, err
		}
	}
	out, err := exec.CommandContext(ctx, "go", "version", "-m", filepath.Join(dir, "out/pilot")).Output()
	if err != nil {
		return nil, fmt.Errorf("ask go what is in the program: %w", err)
	}
	for i, line := range lines(out) {
		w := strings.Fields(line)
		switch {
		case i == 0:
			f.add(fact{"package", "pkg:golang/stdlib", strings.TrimPrefix(w[len(w)-1], "go"), ""})
		case w[0] == "mod":
			f.add(fact{"package", "pkg:golang/" + w[1], "", ""})
		case w[0] == "dep":
			f.add(fact{"package", "pkg:golang/" + w[1], w[2], ""})
		}
	}
	l, err := b.layout.once(keyOf("known go", sources("old")), "COPY pilot /opt/pilot", func(t *tree) error {
		return t.folder(filepath.Join(dir, "out"), "opt/pilot")
	})
	return []layer{l}, err
}

// knownNPM makes the layer of npm packages, and one that removes a package and
// writes another over a second, below a lock file that knows of neither.
func (b *builder) knownNPM(ctx context.Context, f *facts) ([]layer, error) {
	installed, err := b.npmPackages(ctx, "old")
	if err != nil {
		return nil, err
	}
	text, err := versions.ReadFile("testdata/old/package-lock.json")
	if err != nil {
		return nil, err
	}
	var lock struct {
		Packages map[string]struct {
			Name    string `json:"name"`
			Version string `json:"version"`
			Dev     bool   `json:"dev"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return nil, fmt.Errorf("read lock file: %w", err)
	}
	var top []string // packages that are there once, at the top
	for p := range lock.Packages {
		if strings.Count(p, "node_modules/") == 1 && !strings.Contains(p, "@") && !slices.ContainsFunc(keys(lock.Packages), func(q string) bool {
			return q != p && (strings.HasSuffix(q, "/"+p) || strings.HasPrefix(q, p+"/"))
		}) {
			top = append(top, p)
		}
	}
	slices.Sort(top)
	gone, changed := top[0], top[1]
	for p, one := range lock.Packages {
		name := p[max(0, strings.LastIndex("/"+p, "/node_modules/")):]
		name = strings.TrimPrefix(name, "node_modules/")
		switch p {
		case "":
			if one.Name != "" && one.Version != "" {
				f.add(fact{"package", "pkg:npm/" + purlName(one.Name), one.Version, ""})
			}
		case gone:
			f.add(fact{"removed", "pkg:npm/" + purlName(name), one.Version, ""})
		case changed:
			f.add(fact{"removed", "pkg:npm/" + purlName(name), one.Version, ""}, fact{"package", "pkg:npm/" + purlName(name), "99.1.2", ""})
		default:
			f.add(fact{"package", "pkg:npm/" + purlName(name), one.Version, ""})
		}
	}
	l, err := b.layout.once(keyOf("known npm", sources("old"), gone, changed), "rm "+gone, func(t *tree) error {
		if err := t.file("srv/app/"+filepath.Dir(gone)+"/.wh."+filepath.Base(gone), 0o644, ""); err != nil {
			return err
		}
		return t.file("srv/app/"+changed+"/package.json", 0o644, fmt.Sprintf(`{"name": %q, "version": "99.1.2"}`, filepath.Base(changed)))
	})
	return []layer{installed, l}, err
}

func keys[V any](m map[string]V) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// purlName writes an npm name as a package URL does.
func purlName(name string) string { return strings.Replace(name, "@", "%40", 1) }

// knownPython makes the layer of Python packages that dpkg knows nothing of.
func (b *builder) knownPython(ctx context.Context, f *facts) ([]layer, error) {
	l, err := b.pythonPackages(ctx, "old")
	if err != nil {
		return nil, err
	}
	root, err := b.root(ctx, pythonArchive["old"])
	if err != nil {
		return nil, err
	}
	packages, err := root.Find(ctx, pythonPackages...)
	if err != nil {
		return nil, err
	}
	db, err := b.records(ctx, root, packages)
	for i := range db.records {
		r := &db.records[i]
		f.add(fact{"package", "pkg:pypi/" + strings.TrimPrefix(r.field("Package"), "python3-"), upstream(r.field("Version")), ""})
	}
	return []layer{l}, err
}

// jars are Debian's packages of Java libraries, and what Debian's own repository
// of Maven says that they are.
var jars = []string{"libcommons-io-java", "libcommons-lang3-java", "libguava-java", "libjackson2-core-java", "liblog4j1.2-java", "libcommons-collections3-java", "libslf4j-java", "libspring-core-java"}

// knownJava makes the layer of an archive with libraries in it, and of one
// library beside it. Two of the nested ones lose the files that Maven writes.
func (b *builder) knownJava(ctx context.Context, f *facts) ([]layer, error) {
	root, err := b.root(ctx, "main")
	if err != nil {
		return nil, err
	}
	packages, err := root.Find(ctx, jars...)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.cache, "work-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := root.Unpack(ctx, packages, dir); err != nil {
		return nil, err
	}
	poms, err := filepath.Glob(filepath.Join(dir, "usr/share/maven-repo/*/*/*/*.jar"))
	if err != nil {
		return nil, err
	}
	deeper, err := filepath.Glob(filepath.Join(dir, "usr/share/maven-repo/*/*/*/*/*.jar"))
	if err != nil {
		return nil, err
	}
	var fat bytes.Buffer
	w := zip.NewWriter(&fat)
	if err := zipFile(w, "META-INF/MANIFEST.MF", []byte("Manifest-Version: 1.0\r\nImplementation-Title: fleet\r\nImplementation-Version: 3.2.1\r\nImplementation-Vendor-Id: com.example\r\n\r\n")); err != nil {
		return nil, err
	}
	if err := zipFile(w, "META-INF/maven/com.example/fleet/pom.properties", []byte("groupId=com.example\nartifactId=fleet\nversion=3.2.1\n")); err != nil {
		return nil, err
	}
	f.add(fact{"package", "pkg:maven/com.example/fleet", "3.2.1", ""})
	seen := map[string]bool{}
	for _, jar := range append(poms, deeper...) {
		rel, err := filepath.Rel(filepath.Join(dir, "usr/share/maven-repo"), jar)
		if err != nil {
			return nil, err
		}
		parts := strings.Split(rel, "/")
		n := len(parts)
		group, artifact, version := strings.Join(parts[:n-3], "."), parts[n-3], parts[n-2]
		if version == "debian" || strings.Contains(version, "x") || seen[artifact] {
			continue
		}
		content, err := os.ReadFile(jar)
		if err != nil {
			continue // a link out of these packages
		}
		seen[artifact] = true
		if err := zipFile(w, fmt.Sprintf("BOOT-INF/lib/%s-%s.jar", artifact, version), content); err != nil {
			return nil, err
		}
		f.add(fact{"package", "pkg:maven/" + group + "/" + artifact, version, ""})
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	l, err := b.layout.once(keyOf("known java", fmt.Sprint(packages)), "COPY fleet.jar /opt/fleet.jar", func(t *tree) error {
		return t.file("opt/fleet/fleet.jar", 0o644, fat.String())
	})
	return []layer{l}, err
}

func zipFile(w *zip.Writer, name string, content []byte) error {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: epoch}
	out, err := w.CreateHeader(h)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	return err
}
