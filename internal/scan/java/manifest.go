package java

import (
	"bytes"
	"encoding/xml"
	"strings"
)

const (
	manifestPath = "META-INF/MANIFEST.MF"
	maxManifest  = 8 << 20 // bytes; lists of signed entries and of OSGi packages are long
	maxRecord    = 64 << 10
	maxPOM       = 4 << 20
)

// manifest is the main section of META-INF/MANIFEST.MF (JAR file specification)
// by attribute in lower case.
type manifest map[string]string

// readManifest reads the main section. Of two attributes of one name the last
// counts, as in the JDK's own reader.
func readManifest(b []byte) manifest {
	m := manifest{}
	last := ""
	for line := range bytes.Lines(bytes.ReplaceAll(b[:mainSection(b)], []byte("\r"), []byte("\n"))) {
		line = bytes.TrimRight(line, "\n")
		if rest, ok := bytes.CutPrefix(line, []byte(" ")); ok && last != "" {
			if len(m[last]) < maxValue {
				m[last] += string(rest)
			}
			continue
		}
		if name, value, ok := strings.Cut(string(line), ":"); ok {
			last = strings.ToLower(name)
			m[last] = strings.TrimPrefix(value, " ")
		}
	}
	return m
}

// maxValue bounds an attribute, bytes: what is used is short, and lists of
// packages are long.
const maxValue = 4096

// mainSection returns the length of the main section, which ends with an empty
// line.
func mainSection(b []byte) int {
	n := len(b)
	for _, end := range []string{"\n\n", "\r\n\r\n", "\r\r"} {
		if i := bytes.Index(b, []byte(end)); i >= 0 {
			n = min(n, i)
		}
	}
	return n
}

// word returns the first of the attributes whose value is one word.
func (m manifest) word(names ...string) string {
	for _, name := range names {
		v := strings.TrimSpace(m[name])
		v, _, _ = strings.Cut(v, ";") // an OSGi directive
		if v != "" && len(v) <= 256 && !strings.ContainsAny(v, " \t\"/$") {
			return v
		}
	}
	return ""
}

// version returns the first of the attributes that begins as versions do.
func (m manifest) version(names ...string) string {
	for _, name := range names {
		if v, _, _ := strings.Cut(strings.TrimSpace(m[name]), " "); isVersion(v) {
			return v
		}
	}
	return ""
}

// readProperties reads a file of Java properties as Maven writes pom.properties:
// without escapes.
func readProperties(b []byte) coordinates {
	var c coordinates
	for line := range bytes.Lines(b) {
		key, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "groupId":
			c.group = value
		case "artifactId":
			c.artifact = value
		case "version":
			c.version = value
		}
	}
	return c
}

// readPOM reads the coordinates of a project (Maven POM reference, "Maven
// Coordinates"); group and version may be those of its parent.
func readPOM(b []byte) (coordinates, error) {
	var project struct {
		XMLName  xml.Name `xml:"project"`
		Group    string   `xml:"groupId"`
		Artifact string   `xml:"artifactId"`
		Version  string   `xml:"version"`
		Parent   struct {
			Group   string `xml:"groupId"`
			Version string `xml:"version"`
		} `xml:"parent"`
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = false
	if err := d.Decode(&project); err != nil {
		return coordinates{}, err
	}
	c := coordinates{group: project.Group, artifact: project.Artifact, version: project.Version}
	if c.group == "" {
		c.group = project.Parent.Group
	}
	if c.version == "" {
		c.version = project.Parent.Version
	}
	return c.clean(), nil
}
