package java

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Releases is a [scan.Extractor] of the file "release" in the folder of a JDK or
// a JRE (JEP 223), which says whose and which it is.
type Releases struct{}

var _ scan.Extractor = Releases{}

const maxRelease = 64 << 10 // bytes

// Name implements [scan.Extractor].
func (Releases) Name() string { return "java-release" }

// Version implements [scan.Extractor].
func (Releases) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Releases) Wants(e image.Entry, head []byte) bool {
	if e.Path != "release" && !strings.HasSuffix(e.Path, "/release") {
		return false
	}
	return len(head) == 0 || bytes.Contains(head, []byte("_VERSION=\""))
}

// Extract implements [scan.Extractor].
func (Releases) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	said := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(f, maxRelease))
	lines.Buffer(make([]byte, 0, 4<<10), maxRelease)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			said[key] = strings.Trim(value, `" `)
		}
	}
	if said["JAVA_VERSION"] == "" || lines.Err() != nil {
		return inventory.Found{}, lines.Err()
	}
	found := inventory.Found{Components: []inventory.Component{runtime(said)}}
	if v := said["GRAALVM_VERSION"]; v != "" {
		c := inventory.Component{Kind: inventory.Application, Type: inventory.Generic, Name: "graalvm", Version: v, Vendor: said["IMPLEMENTOR"]}
		c.CPE = cpe("graalvm", v)
		found.Components = append(found.Components, c)
	}
	return found, nil
}

// runtime returns the JDK or JRE. Everything but Oracle's own commercial builds
// is OpenJDK, whoever built it.
func runtime(said map[string]string) inventory.Component {
	c := inventory.Component{
		Kind: inventory.Application, Type: inventory.Generic, Name: "openjdk",
		Version: said["JAVA_VERSION"], Vendor: said["IMPLEMENTOR"],
	}
	if said["BUILD_TYPE"] == "commercial" {
		c.Name = "jdk"
		if strings.EqualFold(said["IMAGE_TYPE"], "JRE") {
			c.Name = "jre"
		}
	}
	c.CPE = cpe(c.Name, c.Version)
	return c
}

// cpe returns the name under which the NVD knows the version: of Java 8,
// "1.8.0_392", that of OpenJDK is 8 with update392, and that of Oracle's 1.8.0
// with update392 (CPE dictionary).
func cpe(name, version string) string {
	update := "*"
	if first, number, ok := strings.Cut(version, "_"); ok && strings.HasPrefix(version, "1.") {
		version, update = first, "update"+number
		if name == "openjdk" {
			version = strings.TrimSuffix(strings.TrimPrefix(first, "1."), ".0")
		}
	}
	if strings.Trim(version+strings.TrimPrefix(update, "*"), "abcdefghijklmnopqrstuvwxyz0123456789._") != "" {
		return "" // not what would stand in a name unescaped
	}
	return "cpe:2.3:a:oracle:" + name + ":" + version + ":" + update + ":*:*:*:*:*:*"
}
