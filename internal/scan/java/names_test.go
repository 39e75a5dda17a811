package java

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/scan/scantest"
)

func TestSplit(t *testing.T) {
	for stem, want := range map[string][2]string{
		"commons-lang3-3.12.0":                     {"commons-lang3", "3.12.0"},
		"log4j-1.2-1.2.17":                         {"log4j", "1.2.17"},
		"log4j-1.2-api-2.17.1":                     {"log4j-1.2-api", "2.17.1"},
		"guava-31.1-jre":                           {"guava", "31.1-jre"},
		"foo-1.0-beta-2":                           {"foo", "1.0-beta-2"},
		"foo-1.0-20240131.120000-1":                {"foo", "1.0-20240131.120000-1"},
		"jackson-module-scala_2.13-2.15.0":         {"jackson-module-scala_2.13", "2.15.0"},
		"netty-tcnative-2.0.61.Final-linux-x86_64": {"netty-tcnative", "2.0.61.Final-linux-x86_64"},
		"foo-v2.1":                                 {"foo", "v2.1"},
		"spring3-core-3.x":                         {"spring3-core", "3.x"},
		"app":                                      {"app", ""},
		"":                                         {"", ""},
		"1.0":                                      {"1.0", ""},
	} {
		if name, version := split(stem); [2]string{name, version} != want {
			t.Errorf("%s: %q %q, want %q", stem, name, version, want)
		}
	}
}

func TestManifest(t *testing.T) {
	m := readManifest([]byte("Manifest-Version: 1.0\r\nBundle-SymbolicName: org.example.a-very-long-name-that-goes-o\r\n n;singleton:=true\r\nImplementation-Version: ${version}\r\nBundle-Version: 1.2.3 (build 7)\r\nLast: x\r\n\r\nName: a/B.class\r\nBundle-Version: 9\r\n"))
	if got := m.word("bundle-symbolicname"); got != "org.example.a-very-long-name-that-goes-on" {
		t.Errorf("word = %q", got)
	}
	if got := m.version("implementation-version", "bundle-version"); got != "1.2.3" {
		t.Errorf("version = %q", got)
	}
}

// TestGuesses: archives that nothing names but their file, manifest and classes.
func TestGuesses(t *testing.T) {
	class := func(names ...string) (out []member) {
		for _, n := range names {
			out = append(out, member{name: n + ".class"})
		}
		return out
	}
	manifest := func(lines string) member {
		return member{name: manifestPath, content: "Manifest-Version: 1.0\n" + lines}
	}
	for _, test := range []struct {
		file    string
		members []member
		want    []string
	}{
		{"toolkit-1.4.jar", class("org/example/toolkit/A", "org/example/toolkit/b/C", "module-info"), []string{"org.example/toolkit 1.4 (0.5)"}},
		{"toolkit-1.4.jar", append(class("org/apache/toolkit/A", "org/apache/toolkit/B", "org/apache/other/C"), manifest("")), []string{"org.apache.toolkit/toolkit 1.4 (0.5)"}},
		{"toolkit-1.4.jar", class("A", "b/C"), []string{"toolkit/toolkit 1.4 (0.3)"}},
		{"words-2.0.jar", []member{manifest(""), {name: "words.txt"}}, []string{"words/words 2.0 (0.3)"}},
		{"toolkit.jar", append(class("A"), manifest("Bundle-SymbolicName: org.example.toolkit;singleton:=true\nBundle-Version: 1.4.0\n")), []string{"org.example/toolkit 1.4.0 (0.3)"}},
		{"runtime.jar", append(class("A"), manifest("Specification-Version: 1.8\n")), nil},
		{"toolkit.jar", class("org/example/toolkit/A"), nil},
		{"x.jar", append(class("org/example/toolkit/A"), manifest("Implementation-Title: toolkit\nImplementation-Version: 1.4\n")), []string{"org.example/toolkit 1.4 (0.5)"}},
		{"play_2.13-2.8.1.jar", append(class("play/A"), manifest("Implementation-Vendor-Id: com.typesafe.play\n")), []string{"com.typesafe.play/play_2.13 2.8.1 (0.8)"}},
		{"git.hpi", append(class("hudson/plugins/git/A"), manifest("Group-Id: org.jenkins-ci.plugins\nShort-Name: git\nPlugin-Version: 4.11.0\n")), []string{"org.jenkins-ci.plugins/git 4.11.0 (0.8)"}},
		{"dom4j-1.6.1.jar", class("org/dom4j/Node"), []string{"dom4j/dom4j 1.6.1 (0.9)"}},
		{"dom4j-2.1.3.jar", class("org/dom4j/Node"), []string{"org.dom4j/dom4j 2.1.3 (0.9)"}},
		{"log4j-1.2-api.jar", class("org/apache/log4j/A"), []string{"org.apache.logging.log4j/log4j-1.2-api (0.9)"}},
		{"shop-1.0.jar", class("org/springframework/boot/loader/Launcher", "BOOT-INF/classes/com/example/shop/A"), []string{"com.example/shop 1.0 (0.5)"}},
		{"shop-1.0.war", class("WEB-INF/classes/com/example/A"), []string{"com.example/shop 1.0 (0.5)"}},
		{"struts2-core-2.3.31.jar", []member{manifest("")}, []string{"org.apache.struts/struts2-core 2.3.31 (0.5)"}},
		{"org.eclipse.jdt.ecj-3.38.0.jar", class("org/eclipse/jdt/core/A"), []string{"org.eclipse.jdt/ecj 3.38.0 (0.9)"}},
		{"spring-web-5.3.1.jar", class("com/example/NotSpring"), []string{"com.example/spring-web 5.3.1 (0.5)"}},
	} {
		t.Run(test.file, func(t *testing.T) {
			found, err := extract(t, "app/"+test.file, pack(t, test.members...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, places(found.Components)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProjectsWithoutProperties(t *testing.T) {
	pom := `<?xml version="1.0"?><project xmlns="http://maven.apache.org/POM/4.0.0"><parent><groupId>org.example</groupId><version>2.0</version></parent><artifactId>a</artifactId><version>${revision}</version></project>`
	found, err := extract(t, "a-2.1.jar", pack(t, member{name: "META-INF/maven/org.example/a/pom.xml", content: pom}))
	if diff := cmp.Diff([]string{"org.example/a 2.1"}, places(found.Components)); diff != "" || err != nil {
		t.Errorf("err = %v, components (-want +got):\n%s", err, diff)
	}
}

func TestHashes(t *testing.T) {
	content := pack(t, member{name: "a/B.class"})
	h, err := ReadHashes(strings.NewReader("# mine\n" + sha1Of(content) + "\torg.example\tb\t1.0\n"))
	if err != nil {
		t.Fatal(err)
	}
	x := Extractor{Hashes: h}
	found, err := x.Extract(t.Context(), scantest.File("x/y.jar", content))
	if diff := cmp.Diff([]string{"org.example/b 1.0"}, places(found.Components)); diff != "" || err != nil {
		t.Errorf("err = %v, components (-want +got):\n%s", err, diff)
	}
	if x.Version() == (Extractor{}).Version() {
		t.Error("results with and without the table share a cache")
	}
	for _, bad := range []string{"a\tb\tc\td", sha1Of(nil), strings.Repeat("x", maxHashLine+1), "g" + sha1Of(nil)[1:] + "\ta\tb\tc"} {
		if _, err := ReadHashes(strings.NewReader(bad)); err == nil {
			t.Errorf("%.60q is taken", bad)
		}
	}
	if _, err := ReadHashes(strings.NewReader("x\n")); !fault.Is(err, fault.Invalid) {
		t.Errorf("err = %v, want invalid", err)
	}
}

// TestTables: what is compiled in is well-formed.
func TestTables(t *testing.T) {
	if _, ok := builtIn().(*table); !ok || len(builtIn().(*table).rows) < 100 {
		t.Error("hardly any hashes")
	}
	if n := strings.Count(knownRows, "\n") - strings.Count(knownRows, "\n#") - 1; len(wellKnown()) < 500 || n < 500 {
		t.Errorf("%d rows, %d names", n, len(wellKnown()))
	}
	for name, list := range wellKnown() {
		for _, p := range list {
			if name == "" || p.group == "" || p.artifact == "" || !strings.HasSuffix(p.folder, "/") || p.first > p.last {
				t.Errorf("%q: %+v", name, p)
			}
		}
	}
}

func FuzzReadHashes(f *testing.F) {
	f.Add(debianRows[:400])
	f.Fuzz(func(_ *testing.T, s string) { _, _ = ReadHashes(strings.NewReader(s)) })
}
