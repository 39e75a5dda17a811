package dotnet

import (
	"cmp"
	"context"
	"path"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Assemblies is a [scan.Extractor] of assemblies by their version resource. It
// counts only where no deps.json lies in the program's folder, which names the
// packages rather than the files.
type Assemblies struct{}

var _ scan.Extractor = Assemblies{}

// How sure it is that an assembly's package is called and numbered as the
// assembly is.
const (
	byAssembly = 0.6
	byFile     = 0.4 // only the file's own version is there
)

// Name implements [scan.Extractor].
func (Assemblies) Name() string { return "dotnet-assembly" }

// Version implements [scan.Extractor].
func (Assemblies) Version() int { return 1 }

// Wants implements [scan.Extractor]: PE files; most assemblies are libraries.
func (Assemblies) Wants(e image.Entry, head []byte) bool {
	if len(head) < 64 || head[0] != 'M' || head[1] != 'Z' {
		return false
	}
	return !strings.HasSuffix(e.Path, ".resources.dll")
}

// Extract implements [scan.Extractor].
func (Assemblies) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	content, err := f.Spill()
	if err != nil {
		return inventory.Found{}, err
	}
	said, err := readVersion(content)
	if err != nil || said == nil {
		return inventory.Found{}, err
	}
	c, ok := said.component(path.Base(f.Path))
	if !ok {
		return inventory.Found{}, nil
	}
	return inventory.Found{Components: []inventory.Component{c}, Unless: program(f.Path)}, nil
}

// program returns the folder of the program that the assembly at p belongs to:
// its own or, if it is for one platform only, that above runtimes.
func program(p string) string {
	dir := path.Dir(p)
	if above, _, ok := strings.Cut(dir, "/runtimes/"); ok {
		return above
	}
	return dir
}

// version is the text of a version resource by key ("ProductVersion").
type version map[string]string

// component returns what the assembly says that it is. file is its name. Those of
// the framework are the framework; those of Mono are no packages of NuGet's.
func (v version) component(file string) (inventory.Component, bool) {
	if strings.HasPrefix(v["ProductName"], "Mono ") || strings.HasPrefix(v["CompanyName"], "Mono ") {
		return inventory.Component{}, false
	}
	number := first(v["ProductVersion"])
	if strings.HasPrefix(v["ProductName"], "Microsoft® .NET") && number != "" {
		c := framework("Microsoft.NETCore.App", number)
		c.Evidence = []inventory.Evidence{{Confidence: byAssembly}}
		return c, true
	}
	name := cmp.Or(v["InternalName"], v["OriginalFilename"], file)
	for _, ending := range []string{".dll", ".exe", ".DLL", ".EXE"} {
		name = strings.TrimSuffix(name, ending)
	}
	c := inventory.Component{Kind: inventory.Library, Type: inventory.NuGet, Name: strings.TrimSpace(name), Version: number, Vendor: v["CompanyName"]}
	confidence := byAssembly
	if c.Version == "" {
		c.Version, confidence = first(v["FileVersion"]), byFile
	}
	c.Evidence = []inventory.Evidence{{Confidence: confidence}}
	return c, c.Name != "" && c.Version != "" && !strings.ContainsAny(c.Name, "/\\ ")
}

// first returns the version that a text begins with: without what the compiler
// adds of the source ("1.0.0+816ceee…").
func first(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, "+ ,"); i >= 0 {
		s = s[:i]
	}
	if s == "" || s[0] < '0' || s[0] > '9' {
		return ""
	}
	return s
}
