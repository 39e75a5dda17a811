package dotnet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/scantest"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func extract(t *testing.T, x scan.Extractor, path, content string) inventory.Found {
	t.Helper()
	if !scantest.Wants(x, path, []byte(content)) {
		t.Errorf("%q is not wanted", path)
	}
	found, err := x.Extract(t.Context(), scantest.File(path, []byte(content)))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func owned(list []inventory.Owned) (out []string) {
	for _, o := range list {
		out = append(out, o.Package+": "+o.Path)
	}
	return out
}

// TestDeps: of 35 packages only one brings a file, which is all that npm's
// package has beside the program.
func TestDeps(t *testing.T) {
	found := extract(t, Deps{}, "opt/lib/MsbuildAnalyzer.deps.json", sample(t, "MsbuildAnalyzer.deps.json"))
	if diff := cmp.Diff([]string{"MsbuildAnalyzer 1.0.0", "Microsoft.Build.Locator 1.8.1"}, scantest.Summary(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	if k := found.Components[0].Kind; k != inventory.Application {
		t.Errorf("the project is a %s", k)
	}
	if diff := cmp.Diff([]string{"MsbuildAnalyzer: opt/lib/MsbuildAnalyzer.dll", "MsbuildAnalyzer: opt/lib/MsbuildAnalyzer", "Microsoft.Build.Locator: opt/lib/Microsoft.Build.Locator.dll"}, owned(found.Owned)); diff != "" {
		t.Errorf("owned (-want +got):\n%s", diff)
	}
}

func TestKindsOfLibraries(t *testing.T) {
	const doc = "\uFEFF" + `{"targets": {"t": {
		"A/1.0": {"runtime": {"lib/net8.0/A.dll": {}}, "resources": {"lib/net8.0/de/A.resources.dll": {"locale": "de"}}, "compile": {"lib/net8.0/C.dll": {}}},
		"B/2.0": {"runtimeTargets": {"runtimes/linux/lib/B.dll": {}, "../../../etc/passwd": {}, "_._": {}}},
		"Meta/3.0": {"dependencies": {"A": "1.0"}},
		"runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.14": {"runtime": {"System.Private.CoreLib.dll": {}}, "native": {"libclrjit.so": {"fileVersion": "0"}}}}},
	"libraries": {"A/1.0": {"type": "package"}, "B/2.0": {"type": "package"}, "Meta/3.0": {"type": "package"},
		"runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.14": {"type": "runtimepack"}, "R/1.0.0.0": {"type": "reference"},
		"Own/1.0": {"type": "project"}, "X/1.0": {"type": "referenceassembly"}, "Y/1.0": {}, "": {"type": "package"}, "Z": ["package"]}}`
	found := extract(t, Deps{}, "app/app.deps.json", doc)
	want := []string{"A 1.0", "B 2.0", "Microsoft.NETCore.App.Runtime.linux-x64 8.0.14", "R 1.0.0.0", "Own 1.0"}
	if diff := cmp.Diff(want, scantest.Summary(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	paths := []string{
		"A: app/A.dll", "A: app/de/A.resources.dll", "B: app/runtimes/linux/lib/B.dll",
		"Microsoft.NETCore.App.Runtime.linux-x64: app/System.Private.CoreLib.dll", "Microsoft.NETCore.App.Runtime.linux-x64: app/libclrjit.so",
	}
	if diff := cmp.Diff(paths, owned(found.Owned)); diff != "" {
		t.Errorf("owned (-want +got):\n%s", diff)
	}
	silent := extract(t, Deps{}, "app.deps.json", `{"libraries": {"A/1.0": {"type": "package"}}, "targets": {"t": {"A/1.0": {}, "Own/1": {"runtime": {"Own.dll": {}}}}}}`)
	if diff := cmp.Diff([]string{"A 1.0"}, scantest.Summary(silent.Components)); diff != "" {
		t.Errorf("a file that names no package's files (-want +got):\n%s", diff)
	}
}

func TestSharedFrameworks(t *testing.T) {
	const doc = `{"libraries": {"Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": {"type": "package"}}}`
	found := extract(t, Deps{}, "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json", doc)
	if diff := cmp.Diff([]string{"Microsoft.NETCore.App.Runtime.linux-x64 8.0.1", "dotnet-runtime 8.0.1"}, scantest.Summary(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	if got := found.Components[1].CPE; got != "cpe:2.3:a:microsoft:.net:8.0.1:*:*:*:*:*:*:*" {
		t.Errorf("CPE %q", got)
	}
	if found := extract(t, Deps{}, "app/8.0.1/Microsoft.NETCore.App.deps.json", doc); len(found.Components) != 1 {
		t.Errorf("elsewhere: %v", scantest.Summary(found.Components))
	}
}

func TestHostileDeps(t *testing.T) {
	countless := strings.Repeat(`"A/1": {"type": "package"},`, scan.MaxComponents+2)
	files := strings.Repeat(`"a.dll": {},`, maxAssets+2)
	for _, content := range []string{
		"[]", "{", `{"targets": {"t": ` + strings.Repeat("[", 1<<16), `{"libraries": {` + countless + `"x": {}}}`, `{"targets": {"t": {"A/1": {"runtime": {` + files + `"x": {}}}}}}`,
	} {
		found, err := Deps{}.Extract(t.Context(), scantest.File("a.deps.json", []byte(content)))
		if !fault.Is(err, fault.Invalid) || len(found.Components) > scan.MaxComponents+1 {
			t.Errorf("%.40q: %d components, %v", content, len(found.Components), err)
		}
	}
}

func TestLocks(t *testing.T) {
	found := extract(t, Locks{}, "src/app/packages.lock.json", sample(t, "packages.lock.json"))
	got := scantest.Summary(found.Components)
	if found.Unless != "src/app" || len(got) == 0 || got[0] != "AutoMapper 13.0.1" {
		t.Errorf("unless %q: %q", found.Unless, got)
	}
	found = extract(t, Locks{}, "packages.lock.json", `{"dependencies": {"net6.0": {"A": {"type": "Direct", "resolved": "1.0"}, "P": {"type": "Project", "resolved": "2"}, "B": {}}, "net8.0": {"A": {"resolved": "1.0"}}}}`)
	if diff := cmp.Diff([]string{"A 1.0"}, scantest.Summary(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
}

func TestSpecs(t *testing.T) {
	const spec = "\uFEFF" + `<?xml version="1.0" encoding="utf-8"?><package xmlns="http://schemas.microsoft.com/packaging/2012/06/nuspec.xsd"><metadata>
		<id>NuGet.Frameworks</id><version>5.7.0+b804bf4</version><license type="expression">Apache-2.0</license></metadata></package>`
	found := extract(t, Specs{}, "root/.nuget/packages/nuget.frameworks/5.7.0/nuget.frameworks.nuspec", spec)
	if diff := cmp.Diff([]string{"NuGet.Frameworks 5.7.0"}, scantest.Summary(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"NuGet.Frameworks: root/.nuget/packages/nuget.frameworks/5.7.0/"}, owned(found.Owned)); diff != "" {
		t.Errorf("owned (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "<package>", "<package><metadata/></package>", "<other/>"} {
		if _, err := (Specs{}).Extract(t.Context(), scantest.File("a/1/a.nuspec", []byte(bad))); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAssemblies(t *testing.T) {
	for _, test := range []struct{ file, as, want, unless string }{
		{"HelloWorldApp.dll", "app/HelloWorldApp.dll", "HelloWorldApp 1.0.0", "app"},
		{"Microsoft.Build.Locator.dll", "app/renamed.bin", "Microsoft.Build.Locator 1.8.1", "app"},
		{"Microsoft.Build.Locator.dll", "app/runtimes/linux/lib/net8.0/x.dll", "Microsoft.Build.Locator 1.8.1", "app"},
	} {
		found := extract(t, Assemblies{}, test.as, sample(t, test.file))
		if diff := cmp.Diff([]string{test.want}, scantest.Summary(found.Components)); diff != "" || found.Unless != test.unless {
			t.Errorf("unless %q, components (-want +got):\n%s", found.Unless, diff)
		}
		if c := found.Components[0].Evidence[0].Confidence; c != byAssembly {
			t.Errorf("confidence %v", c)
		}
	}
}

func TestVersionsOfAssemblies(t *testing.T) {
	for _, test := range []struct {
		said version
		want string
	}{
		{version{"InternalName": "A.dll", "ProductVersion": "13.0.1+ab12", "FileVersion": "13.0.1.2"}, "A 13.0.1 0.6"},
		{version{"OriginalFilename": "A.exe", "ProductVersion": "release", "FileVersion": "1.2.3.4"}, "A 1.2.3.4 0.4"},
		{version{"ProductName": "Microsoft® .NET", "InternalName": "System.Text.Json.dll", "ProductVersion": "8.0.14+9f4b1f5"}, "dotnet-runtime 8.0.14 0.6"},
		{version{"CompanyName": "Mono development team", "InternalName": "mscorlib.dll", "ProductVersion": "4.0"}, ""},
		{version{"ProductVersion": "1.0"}, "file 1.0 0.6"},
		{version{"InternalName": "no version"}, ""},
	} {
		got := ""
		if c, ok := test.said.component("file.dll"); ok {
			got = fmt.Sprintf("%s %s %.1f", c.Name, c.Version, c.Evidence[0].Confidence)
		}
		if got != test.want {
			t.Errorf("%v: %q, want %q", test.said, got, test.want)
		}
	}
}

// TestHostileAssemblies changes each word of the headers of an assembly, and cuts
// it short: nothing may be asked for that is not there.
func TestHostileAssemblies(t *testing.T) {
	b := []byte(sample(t, "HelloWorldApp.dll"))
	for _, value := range []uint32{0, 1, 0x7fffffff, 0xffffffff, 0x80000000} {
		for at := 60; at < 1024; at += 2 {
			c := bytes.Clone(b)
			binary.LittleEndian.PutUint32(c[at:], value)
			if _, err := (Assemblies{}).Extract(t.Context(), scantest.File("a.dll", c)); err != nil && !fault.Is(err, fault.Invalid) {
				t.Fatalf("%d at %d: %v", value, at, err)
			}
		}
	}
	for n := 0; n < len(b); n += 37 {
		if _, err := (Assemblies{}).Extract(t.Context(), scantest.File("a.dll", b[:n])); err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]string{
		"app/app.deps.json":      "dotnet-deps",
		"app/deps.json":          "",
		"app/packages.lock.json": "nuget-lock",
		"x/newtonsoft.json/12.0.3/newtonsoft.json.nuspec": "nuspec",
		"x/Newtonsoft.Json/12.0.3/newtonsoft.json.nuspec": "nuspec",
		"x/lib/atom/atom.nuspec":                          "",
		"app/app.dll":                                     "",
	} {
		got := ""
		for _, x := range []scan.Extractor{Deps{}, Locks{}, Specs{}, Assemblies{}} {
			if scantest.Wants(x, path, nil) {
				got = x.Name()
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if scantest.Wants(Assemblies{}, "app/de/app.resources.dll", []byte(sample(t, "HelloWorldApp.dll"))) {
		t.Error("texts in other languages are read")
	}
}

func FuzzDeps(f *testing.F) {
	scantest.Fuzz(f, Deps{}, "app/a.deps.json", sample(f, "MsbuildAnalyzer.deps.json"))
}

func FuzzLocks(f *testing.F) {
	scantest.Fuzz(f, Locks{}, "packages.lock.json", sample(f, "packages.lock.json"))
}

func FuzzSpecs(f *testing.F) {
	scantest.Fuzz(f, Specs{}, "a/1/a.nuspec", "<package><metadata><id>a</id><version>1</version></metadata></package>")
}

func FuzzAssemblies(f *testing.F) {
	scantest.Fuzz(f, Assemblies{}, "a.dll", sample(f, "HelloWorldApp.dll"))
}
