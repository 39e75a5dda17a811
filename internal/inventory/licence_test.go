package inventory

import (
	"strings"
	"testing"
)

func TestLicence(t *testing.T) {
	for in, want := range map[string]string{
		"MIT": "MIT", "apache-2.0": "Apache-2.0", "GPL-2.0+": "GPL-2.0+", "Apache-2.0+": "Apache-2.0+",
		"mit and isc": "MIT AND ISC", "(MIT)": "(MIT)", "MIT OR (ISC AND Zlib)": "MIT OR (ISC AND Zlib)",
		"GPL-2.0-only WITH Linux-syscall-note": "GPL-2.0-only WITH Linux-syscall-note", "GPL-2.0-with-GCC-exception": "GPL-2.0-with-GCC-exception",
		"": "", "GPL-2+": "", "MIT/ISC": "", "MIT OR": "", "AND MIT": "", "(MIT": "", "MIT)": "", "MIT ISC": "", "Classpath-exception-2.0": "",
		"MIT WITH": "", "MIT WITH ISC": "", "()": "", "LicenseRef-x": "", "MIT And ISC": "",
		strings.Repeat("(", 100) + "MIT" + strings.Repeat(")", 100): "", strings.Repeat("MIT OR ", 1000) + "MIT": "",
	} {
		got, single, ok := licence(in)
		if got != want || ok != (want != "") || (single && strings.ContainsAny(got, " (")) {
			t.Errorf("licence(%.40q) = %q, %v, %v; want %q", in, got, single, ok, want)
		}
	}
}

func TestCPE(t *testing.T) {
	for in, want := range map[string]bool{
		"cpe:2.3:a:openssl:openssl:3.0.19:*:*:*:*:*:*:*": true, `cpe:2.3:a:x\+\+:c\/d:1.0\~rc1:-:*:*:*:*:*:*`: true, "cpe:2.3:o:linux:linux_kernel:6.1:*:*:*:*:*:x64:*": true,
		"": false, "cpe:/a:x:y": false, "cpe:2.3:a:x:y:1": false, "cpe:2.3:a:x y:y:1:*:*:*:*:*:*:*": false, "cpe:2.3:a:x:y:1:*:*:*:*:*:*:*:*": false, "cpe:2.3:a:x:y:1\n:*:*:*:*:*:*:*": false,
	} {
		if got := validCPE(in) != ""; got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

func FuzzLicence(f *testing.F) {
	for _, s := range []string{"MIT", "(MIT OR ISC) AND Zlib", "GPL-2.0+ WITH Classpath-exception-2.0", "((", "MIT AND"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, _, ok := licence(s)
		if !ok {
			return
		}
		if again, _, same := licence(got); !same || again != got {
			t.Errorf("licence(%q) = %q, and that is %q", s, got, again)
		}
	})
}
