package java

import (
	"archive/zip"
	"bytes"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// member is a file of an archive that a test packs.
type member struct {
	name, content string
	stored        bool
}

func pack(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		if m.stored {
			h.Method = zip.Store
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func properties(group, artifact, version string) member {
	return member{
		name:    "META-INF/maven/" + group + "/" + artifact + "/pom.properties",
		content: "#Created by Apache Maven\r\nversion=" + version + "\r\ngroupId=" + group + "\r\nartifactId=" + artifact + "\r\n",
	}
}

func extract(t testing.TB, path string, content []byte) (inventory.Found, error) {
	t.Helper()
	if !scantest.Wants(Extractor{}, path, content) {
		t.Errorf("%q is not wanted", path)
	}
	return Extractor{}.Extract(t.Context(), scantest.File(path, content))
}

// places returns "name version @path (confidence)" of each component.
func places(components []inventory.Component) (out []string) {
	for i, s := range scantest.Summary(components) {
		for _, e := range components[i].Evidence {
			if e.Path != "" {
				s += " @" + e.Path
			}
			if e.Confidence != 1 {
				s += fmt.Sprintf(" (%.1f)", e.Confidence)
			}
		}
		out = append(out, s)
	}
	return out
}

func TestRealArchives(t *testing.T) {
	for _, test := range []struct{ file, as, want string }{
		{"slf4j-nop-1.7.32.jar", "app/lib/slf4j-nop-1.7.32.jar", "org.slf4j/slf4j-nop 1.7.32"},
		{"slf4j-nop-1.7.32.jar", "app/lib/renamed.jar", "org.slf4j/slf4j-nop 1.7.32"},
		{"slf4j-nop-1.7.32.jar", "app/lib/blob", "org.slf4j/slf4j-nop 1.7.32"},
		{"log4j-1.2-1.2.17.jar", "app/log4j-1.2-1.2.17.jar", "log4j/log4j 1.2.17 (0.9)"},
		{"log4j-1.2-1.2.17.jar", "app/log4j-1.2.jar", "log4j/log4j 1.2.17 (0.9)"},
		{"log4j-1.2-1.2.17.jar", "app/x.jar", "log4j/log4j 1.2.17 (0.9)"},
		{"commons-collections3-3.2.2.jar", "app/commons-collections3-3.2.2.jar", "commons-collections/commons-collections 3.2.2 (0.9)"},
		{"commons-collections3-3.2.2.jar", "app/blob", "commons-collections/commons-collections 3.2.2 (0.9)"},
		{"spring3-core-3.x.jar", "usr/share/java/spring3-core-3.x.jar", "org.springframework/spring-core 4.3.30.RELEASE (0.9)"},
		{"spring3-core-3.x.jar", "app/spring-core.jar", "org.springframework/spring-core 4.3.30.RELEASE (0.9)"},
	} {
		t.Run(test.as, func(t *testing.T) {
			found, err := extract(t, test.as, sample(t, test.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.want}, places(found.Components)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
			if c := found.Components[0]; c.Kind != inventory.Library || c.Type != inventory.Maven {
				t.Errorf("kind %q, type %q", c.Kind, c.Type)
			}
		})
	}
}

// TestMergedLibraries: xalan's archive has a record of Maven's of BCEL only, which
// was merged into it.
func TestMergedLibraries(t *testing.T) {
	found, err := extract(t, "app/xalan2-2.7.2.jar", sample(t, "xalan2-2.7.2.jar"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"xalan/xalan 2.7.2 (0.9)", "org.apache.bcel/bcel 6.4.1 @app/xalan2-2.7.2.jar!/META-INF/maven/org.apache.bcel/bcel/pom.properties"}
	if diff := cmp.Diff(want, places(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	shaded := pack(t, properties("com.fasterxml.jackson.core", "jackson-core", "2.9.0"), properties("org.example", "app", "1.0"), properties("org.yaml", "snakeyaml", "1.26"))
	for name, self := range map[string]string{"app-1.0.jar": "org.example/app 1.0", "app.jar": "org.example/app 1.0", "other.jar": ""} {
		found, err := extract(t, name, shaded)
		if err != nil {
			t.Fatal(err)
		}
		var own strings.Builder
		for i, s := range scantest.Summary(found.Components) {
			if len(found.Components[i].Evidence) == 0 {
				own.WriteString(s)
			}
		}
		if own.String() != self || len(found.Components) != 3 {
			t.Errorf("%s: the archive itself is %q, want %q of %d", name, own.String(), self, len(found.Components))
		}
	}
}

// fat returns an application as Spring Boot packs it: libraries stored, one in
// a web archive compressed.
func fat(t testing.TB) []byte {
	t.Helper()
	return pack(t,
		member{name: manifestPath, content: "Manifest-Version: 1.0\r\nImplementation-Title: shop\r\nImplementation-Version: 2.1\r\nMain-Class: org.springframework.boot.loader.JarLauncher\r\n\r\n"},
		properties("com.example", "shop", "2.1"),
		member{name: "BOOT-INF/classes/com/example/Shop.class"},
		member{"BOOT-INF/lib/slf4j-nop-1.7.32.jar", string(sample(t, "slf4j-nop-1.7.32.jar")), true},
		member{"BOOT-INF/lib/log4j-1.2-1.2.17.jar", string(sample(t, "log4j-1.2-1.2.17.jar")), true},
		member{"BOOT-INF/lib/inner.war", string(pack(t, member{"WEB-INF/lib/commons-collections3-3.2.2.jar", string(sample(t, "commons-collections3-3.2.2.jar")), false})), false},
	)
}

func TestNestedArchives(t *testing.T) {
	want := []string{
		"com.example/shop 2.1",
		"org.slf4j/slf4j-nop 1.7.32 @srv/shop.jar!/BOOT-INF/lib/slf4j-nop-1.7.32.jar",
		"log4j/log4j 1.2.17 @srv/shop.jar!/BOOT-INF/lib/log4j-1.2-1.2.17.jar (0.9)",
		"commons-collections/commons-collections 3.2.2 @srv/shop.jar!/BOOT-INF/lib/inner.war!/WEB-INF/lib/commons-collections3-3.2.2.jar (0.9)",
	}
	found, err := extract(t, "srv/shop.jar", fat(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, places(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	if k := found.Components[0].Kind; k != inventory.Application {
		t.Errorf("the outermost is a %s", k)
	}
}

// TestArchiveBehindScript: Spring Boot's executable archives begin with a shell
// script; the offsets in them count from the archive or from the script.
func TestArchiveBehindScript(t *testing.T) {
	script := append([]byte("#!/bin/bash\n"), bytes.Repeat([]byte("# a launcher\n"), 1000)...)
	found, err := extract(t, "usr/local/bin/shop", append(script, fat(t)...))
	if err != nil || len(found.Components) != 4 {
		t.Fatalf("%v, %v", scantest.Summary(found.Components), err)
	}
	plain := append(script[:len(script):len(script)], "exit 0\n"...)
	if found, err := extract(t, "usr/local/bin/tool", plain); err != nil || !found.Empty() {
		t.Errorf("a script of no archive: %v, %v", found.Components, err)
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{"a.jar": true, "a/b.WAR": true, "c.hpi": true, "d.jarx": false, "jar": false, "x.class": false, "a/b.ear/c": false} {
		if got := scantest.Wants(Extractor{}, path, nil); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if scantest.Wants(Extractor{}, "bin/short", []byte("#!/bin/sh\necho hello\n")) {
		t.Error("short scripts are read")
	}
}

func TestReleases(t *testing.T) {
	for _, test := range []struct{ name, content, want, cpe string }{
		{"debian", string(sample(t, "release-debian-17")), "openjdk 17.0.15", "cpe:2.3:a:oracle:openjdk:17.0.15:*:*:*:*:*:*:*"},
		{"temurin", string(sample(t, "release-temurin-25")), "openjdk 25.0.3", "cpe:2.3:a:oracle:openjdk:25.0.3:*:*:*:*:*:*:*"},
		{"java 8", "JAVA_VERSION=\"1.8.0_392\"\nIMPLEMENTOR=\"Temurin\"\n", "openjdk 1.8.0_392", "cpe:2.3:a:oracle:openjdk:8:update392:*:*:*:*:*:*"},
		{"Oracle's", "IMPLEMENTOR=\"Oracle Corporation\"\nJAVA_VERSION=\"1.8.0_391\"\nBUILD_TYPE=\"commercial\"\nIMAGE_TYPE=\"JRE\"\n", "jre 1.8.0_391", "cpe:2.3:a:oracle:jre:1.8.0:update391:*:*:*:*:*:*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			const path = "opt/java/release"
			if !scantest.Wants(Releases{}, path, []byte(test.content)) || !scantest.Wants(Releases{}, path, nil) {
				t.Error("it is not wanted")
			}
			found, err := Releases{}.Extract(t.Context(), scantest.File(path, []byte(test.content)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.want}, scantest.Summary(found.Components)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
			if got := found.Components[0].CPE; got != test.cpe {
				t.Errorf("CPE %q, want %q", got, test.cpe)
			}
		})
	}
	if scantest.Wants(Releases{}, "etc/release", []byte("Fedora release 40\n")) {
		t.Error("other files of that name are read")
	}
}

func FuzzReleases(f *testing.F) {
	scantest.Fuzz(f, Releases{}, "jdk/release", string(sample(f, "release-temurin-25")))
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "app.jar", string(fat(f)), string(sample(f, "xalan2-2.7.2.jar")),
		string(pack(f, member{name: "META-INF/maven/g/a/pom.xml", content: "<project><artifactId>a</artifactId><parent><version>1</version></parent></project>"})))
}

func sha1Of(b []byte) string { return fmt.Sprintf("%x", sha1.Sum(b)) }
