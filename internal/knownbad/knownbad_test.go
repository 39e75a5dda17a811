package knownbad

import (
	"crypto/md5"  // #nosec G501 -- lists have MD5s
	"crypto/sha1" // #nosec G505 -- lists have SHA-1s
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
)

func sums(content string) (m, s1, s256 string) {
	a, b, c := md5.Sum([]byte(content)), sha1.Sum([]byte(content)), sha256.Sum256([]byte(content)) // #nosec G401 -- as lists have them
	return hex.EncodeToString(a[:]), hex.EncodeToString(b[:]), hex.EncodeToString(c[:])
}

func read(t testing.TB, lists ...string) *List {
	t.Helper()
	var r Reader
	for _, l := range lists {
		if err := r.Read(strings.NewReader(l)); err != nil {
			t.Fatal(err)
		}
	}
	return r.List()
}

func TestLookup(t *testing.T) {
	m, _, _ := sums("one")
	_, s1, _ := sums("two")
	_, _, s256 := sums("three")
	l := read(t,
		"\uFEFF# indicators\n\n"+m+";Miner One, seen in 2025\r\n"+strings.ToUpper(s1)+" Two\x1b[2J\n",
		s256+"  bin/three\n"+s256+" again\n", strings.Repeat("ab", 16)+"\n")
	if l.Len() != 5 {
		t.Errorf("%d hashes", l.Len())
	}
	for _, test := range []struct {
		sums inventory.Sums
		want string
	}{
		{inventory.Sums{MD5: m}, "Miner One, seen in 2025"},
		{inventory.Sums{MD5: strings.Repeat("ff", 16), SHA1: s1}, "Two\uFFFD[2J"},
		{inventory.Sums{SHA256: s256}, "bin/three"},
		{inventory.Sums{MD5: strings.Repeat("ab", 16)}, unnamed},
		{inventory.Sums{SHA1: m}, ""},
		{inventory.Sums{MD5: m[1:] + "x"}, ""},
		{inventory.Sums{MD5: strings.Repeat("ff", 16)}, ""},
		{inventory.Sums{}, ""},
	} {
		if name := l.Lookup(test.sums); name != test.want {
			t.Errorf("Lookup(%+v) = %q, want %q", test.sums, name, test.want)
		}
	}
	if name := (&List{}).Lookup(inventory.Sums{MD5: m}); name != "" {
		t.Error("an empty list knows a file")
	}
}

func TestVersion(t *testing.T) {
	a, b := strings.Repeat("aa", 16), strings.Repeat("bb", 16)
	first := read(t, a+";one\n"+b+";two\n").Version()
	if again := read(t, "# the same\n"+b+" two\n", a+",one\n").Version(); again != first {
		t.Error("the same list in another order has another version")
	}
	for _, other := range []string{"", a + ";one\n", a + ";one\n" + b + ";three\n", a + ";two\n" + b + ";one\n"} {
		if read(t, other).Version() == first {
			t.Errorf("%q has the same version", other)
		}
	}
}

func TestLookupInMany(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		_, _, s := sums(fmt.Sprint(i))
		fmt.Fprintf(&b, "%s,sample %d\n", s, i%7)
	}
	l := read(t, b.String())
	for i := range 5000 {
		_, _, s := sums(fmt.Sprint(i))
		if name := l.Lookup(inventory.Sums{SHA256: s}); name != fmt.Sprintf("sample %d", i%7) {
			t.Fatalf("%d is %q", i, name)
		}
	}
	if len(l.names) != 7 {
		t.Errorf("%d names are kept", len(l.names))
	}
}

func TestReadRefuses(t *testing.T) {
	good, _, _ := sums("one")
	for name, content := range map[string]string{
		"no hash": "miner;" + good, "odd length": good + "0;x", "no digits": strings.Repeat("g", 32),
		"empty file": "D41D8CD98F00B204E9800998ECF8427E;x", "endless line": good + strings.Repeat("x", maxLine+1),
	} {
		var r Reader
		err := r.Read(strings.NewReader(good + "\n" + content + "\n"))
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: err = %v, want invalid with the line", name, err)
		}
	}
	var r Reader
	if err := r.Read(io.MultiReader(strings.NewReader(good), broken{})); err == nil || fault.Is(err, fault.Invalid) {
		t.Errorf("err = %v, want the reader's own", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

func FuzzRead(f *testing.F) {
	m, s1, s256 := sums("one")
	f.Add(m + ";a\n" + s1 + " b\n# c\n" + s256 + "  *d\n")
	f.Fuzz(func(t *testing.T, content string) {
		var r Reader
		if err := r.Read(strings.NewReader(content)); err != nil {
			return
		}
		l := r.List()
		if l.Len() > len(content)/32 {
			t.Errorf("%d hashes in %d bytes", l.Len(), len(content))
		}
		l.Lookup(inventory.Sums{MD5: m, SHA1: s1, SHA256: s256})
	})
}

func Example() {
	var r Reader
	if err := r.Read(strings.NewReader("900150983cd24fb0d6963f7d28e17f72;a file that holds abc\n")); err != nil {
		return
	}
	fmt.Println(r.List().Lookup(inventory.Sums{MD5: "900150983cd24fb0d6963f7d28e17f72"}))
	// Output: a file that holds abc
}
