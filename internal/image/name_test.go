package image_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
)

func TestParseName(t *testing.T) {
	tests := []struct {
		in, want  string
		scheme    image.Scheme
		path, tag string
	}{
		{"debian", "docker.io/library/debian:latest", image.Registry, "", ""},
		{"localhost:5000/app:1", "localhost:5000/app:1", image.Registry, "", ""},
		{"docker", "docker.io/library/docker:latest", image.Registry, "", ""},
		{"docker.io/library/docker:24", "docker.io/library/docker:24", image.Registry, "", ""},
		{"oci:dir", "oci:dir", image.Layout, "dir", ""},
		{"oci:/a/b:1.2", "oci:/a/b:1.2", image.Layout, "/a/b", "1.2"},
		{"oci:/a:b/c", "oci:/a:b/c", image.Layout, "/a:b/c", ""},
		{"oci:.", "oci:.", image.Layout, ".", ""},
		{"docker-archive:/a/b:c.tar", "docker-archive:/a/b:c.tar", image.DockerArchive, "/a/b:c.tar", ""},
		{"docker:24", "docker:24", image.Engine, "24", ""},
		{"docker:sha256:ab12", "docker:sha256:ab12", image.Engine, "sha256:ab12", ""},
		{"containerd:registry.example.com:5000/a_b/c--d:1.0@sha256:ab", "containerd:registry.example.com:5000/a_b/c--d:1.0@sha256:ab", image.Containerd, "registry.example.com:5000/a_b/c--d:1.0@sha256:ab", ""},
		{"dir:/", "dir:/", image.Folder, "/", ""},
		{"file:a:b", "file:a:b", image.SingleFile, "a:b", ""},
	}
	for _, tt := range tests {
		n, err := image.ParseName(tt.in)
		if err != nil || n.String() != tt.want || n.Scheme != tt.scheme || n.Path != tt.path || n.Tag != tt.tag {
			t.Errorf("ParseName(%q) = %+v, %v", tt.in, n, err)
		}
	}
	for in, want := range map[string]string{
		"": "", "oci:": "path", "docker-archive:": "path", "oci::1": "path", "Team/App": "", "oci:a\x00b": "path",
		"docker:": "no name", "docker:a?b": "no name", "docker:../x": "no name", "containerd:a//b": "no name", "docker:a%2f": "no name", "containerd:a/../b": "no name",
		"dir:": "path", "file:": "path",
	} {
		_, err := image.ParseName(in)
		if !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), want) || (want == "no name") != (fault.HintOf(err) != "") {
			t.Errorf("ParseName(%q): %v (hint %q)", in, err, fault.HintOf(err))
		}
	}
}

func TestParsePlatform(t *testing.T) {
	for in, want := range map[string]string{
		"": "linux/" + runtime.GOARCH + "/", "linux/arm64/v8": "linux/arm64/", "linux/arm": "linux/arm/v7",
		"linux/x86_64": "linux/amd64/", "linux/arm/v6": "linux/arm/v6",
	} {
		p, err := image.ParsePlatform(in)
		if got := p.OS + "/" + p.Architecture + "/" + p.Variant; err != nil || (got != want && in != "") {
			t.Errorf("ParsePlatform(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"linux", "linux/", "/amd64", "linux/arm/v7/x", "linux//v8"} {
		if _, err := image.ParsePlatform(in); !fault.Is(err, fault.Usage) {
			t.Errorf("ParsePlatform(%q): %v", in, err)
		}
	}
}

func ExampleParseName() {
	for _, s := range []string{"debian:12", "oci:build/app:1", "docker:app:2", "dir:/srv"} {
		n, err := image.ParseName(s)
		fmt.Println(n.Scheme, n.Path, n.Tag, n.Reference, err)
	}
	// Output:
	// registry   docker.io/library/debian:12 <nil>
	// oci build/app 1  <nil>
	// docker app:2   <nil>
	// dir /srv   <nil>
}
