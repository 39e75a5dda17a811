package scan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
)

const emptyMD5 = "d41d8cd98f00b204e9800998ecf8427e"

func TestMayRun(t *testing.T) {
	for path, want := range map[string]bool{
		"usr/bin/git":                                          true,
		"usr/lib/x86_64-linux-gnu/libz.so.1.3.1":               true,
		"opt/vendor/bin/tool.bin":                              true,
		"usr/share/perl5/Debconf/Client.pm":                    true,
		"usr/share/java/log4j.jar":                             true,
		"etc/init.d/cron":                                      true,
		"usr/share/doc/git/contrib/hook.sh":                    true,
		"usr/share/doc/x/examples/run":                         true,
		"usr/src/linux-headers-6/scripts/mod/mk":               true,
		".bashrc":                                              true,
		"usr/share/doc/git/copyright":                          false,
		"usr/share/man/man1/git.1.gz":                          false,
		"usr/include/zlib.h":                                   false,
		"usr/lib/python3/a.pyc":                                false,
		"usr/lib/libmcheck.a":                                  true, // an object file under the name of an archive
		"lib/systemd/system/cron.service":                      false,
		"usr/lib/python3/dist-packages/x-1.dist-info/METADATA": true,
		"srv/venv/lib/python3/x-1.dist-info/METADATA":          true,
		"app/node_modules/lodash/package.json":                 false,
		"usr/share/nodejs/lodash/package.json":                 true,
	} {
		if got := mayRun([]byte(path)); got != want {
			t.Errorf("mayRun(%q) = %v", path, got)
		}
	}
}

func TestClaims(t *testing.T) {
	var c Claims
	for _, one := range []struct{ path, algorithm, digits string }{
		{"/usr/bin/a", "md5", emptyMD5},
		{"usr/bin/b", "", ""},
		{"usr/bin/c", "md5", strings.ToUpper(emptyMD5)},
		{"usr/bin/d", "md5", emptyMD5[1:]},
		{"usr/bin/e", "crc32", emptyMD5},
		{"usr/share/doc/x", "md5", emptyMD5},
		{"/", "md5", emptyMD5},
		{strings.Repeat("x", maxOwnedPath+1), "md5", emptyMD5},
	} {
		if err := c.Add([]byte(one.path), "p", inventory.Deb, one.algorithm, []byte(one.digits)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.AddRunnable([]byte("usr/share/doc/x"), "q", inventory.RPM, "", nil); err != nil {
		t.Fatal(err)
	}
	want := []inventory.Owned{
		{Path: "usr/bin/a", Package: "p", Type: inventory.Deb, Sum: "md5:" + emptyMD5},
		{Path: "usr/bin/b", Package: "p", Type: inventory.Deb},
		{Path: "usr/bin/c", Package: "p", Type: inventory.Deb},
		{Path: "usr/bin/d", Package: "p", Type: inventory.Deb},
		{Path: "usr/bin/e", Package: "p", Type: inventory.Deb},
		{Path: "usr/share/doc/x", Package: "q", Type: inventory.RPM},
	}
	if diff := cmp.Diff(want, c.Owned()); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if got := (&Claims{}).Owned(); got != nil {
		t.Errorf("no claims are %v", got)
	}
}

func TestClaimsAreBounded(t *testing.T) {
	for name, length := range map[string]int{"many": 10, "long": maxOwnedPath} {
		t.Run(name, func(t *testing.T) {
			var c Claims
			path := []byte(strings.Repeat("x", length))
			for range MaxComponents {
				if err := c.Add(path, "p", inventory.Deb, "", nil); err != nil {
					if !fault.Is(err, fault.Invalid) || len(c.text) > maxClaimBytes+maxOwnedPath {
						t.Errorf("%d bytes, %v", len(c.text), err)
					}
					return
				}
			}
			if err := c.Add(path, "p", inventory.Deb, "", nil); !fault.Is(err, fault.Invalid) {
				t.Errorf("one more: err = %v, want invalid", err)
			}
		})
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		" Jane <j@example.org>\n": "Jane <j@example.org>", "a\x1b[2J": "a\uFFFD[2J", "caf\xe9": "caf\uFFFD", "long text": "long tex",
	} {
		if got := Plain(in, 8+len(in)/10*100); got != want {
			t.Errorf("Plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func BenchmarkClaims(b *testing.B) {
	var paths [][]byte
	for i := range 1000 {
		paths = append(paths, fmt.Appendf(nil, "usr/lib/python3/dist-packages/package_%d/module_%d.py", i/10, i), fmt.Appendf(nil, "usr/share/doc/package-%d/README.gz", i))
	}
	digits := []byte(emptyMD5)
	b.ReportAllocs()
	for b.Loop() {
		var c Claims
		for _, p := range paths {
			if err := c.Add(p, "p", inventory.Deb, "md5", digits); err != nil {
				b.Fatal(err)
			}
		}
	}
}
