package metadata

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"plimsoll/internal/fault"
	"plimsoll/internal/scan/scantest"
)

func TestRelaxed(t *testing.T) {
	for in, want := range map[string]string{
		`{"a": [1, 2,], }`:                 `{"a": [1,2]}`,
		"{\"a\": 1, // one\n \"b\": 2}":    `{"a": 1,"b": 2}`,
		`{/* a, */"a": "x,} // y",}`:       `{"a": "x,} // y"}`,
		`{"a\"//": "\\",/**/ /***/ }`:      `{"a\"//": "\\"}`,
		`[1,,2]`:                           `[1,,2]`, // for the parser to refuse
		`[1/2]`:                            `[1/2]`,
		"{\"a\"\n:\t1}":                    "{\"a\"\n:\t1}",
		"[1 // never ended":                "[1 ",
		strings.Repeat(`"a" `, 3000) + `,`: strings.Repeat(`"a" `, 3000),
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			got, err := io.ReadAll(NewRelaxed(r))
			if err != nil || string(got) != want {
				t.Errorf("%.40q became %.40q (%v), want %.40q", in, got, err, want)
			}
		}
	}
	if _, err := io.ReadAll(NewRelaxed(iotest.ErrReader(io.ErrClosedPipe))); err == nil {
		t.Error("the reader's error is lost")
	}
}

func TestInside(t *testing.T) {
	for _, test := range []struct{ dir, name, want string }{
		{"usr/lib/python3/dist-packages", "../../../bin/x", "usr/bin/x"},
		{"a/b", "c.so", "a/b/c.so"},
		{"a/b", "/usr/bin/x", "usr/bin/x"},
		{"a/b", "/../usr/bin/x", ""},
		{"a/b", "../../../etc/x", ""},
		{"a/b", "../..", ""},
		{"a", "/", ""},
		{".", "x", "x"},
	} {
		got, ok := Inside(test.dir, test.name)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%q in %q is %q, %v: want %q", test.name, test.dir, got, ok, test.want)
		}
	}
}

func TestMayRun(t *testing.T) {
	for name, want := range map[string]bool{
		"../../../bin/pip3.11": true, "x/_y.cpython-311-x86_64-linux-gnu.so": true, "x/libz.so.1.2.13": true,
		"x/tool": true, "Scripts/x.py": true, "x/__init__.py": false, "x/data.json": false,
	} {
		if MayRun(name) != want {
			t.Errorf("%q: want %v", name, want)
		}
	}
}

func TestLinesAndAllAreBounded(t *testing.T) {
	for _, content := range []string{strings.Repeat("a\n", 100), strings.Repeat("a", 200)} {
		if err := Lines(scantest.File("x", []byte(content)), 100, func(string) error { return nil }); !fault.Is(err, fault.Invalid) {
			t.Errorf("lines: err = %v", err)
		}
		if _, err := All(scantest.File("x", []byte(content)), 100); !fault.Is(err, fault.Invalid) {
			t.Errorf("all: err = %v", err)
		}
	}
	if err := Lines(scantest.File("x", make([]byte, maxLine+1)), 2*maxLine, func(string) error { return nil }); err == nil {
		t.Error("a line without end is taken")
	}
}

func ExampleReadJSON() {
	f := scantest.File("x.json", []byte(`{"name": "six", "Name": "no", "files": ["a", {"path": "b"}], "x": {"y": [1]}}`))
	err := ReadJSON(f, 1<<20, func(d JSON, key string) error {
		switch key {
		case "name":
			name, err := d.Text()
			fmt.Println(name)
			return err
		case "files":
			return d.Array(func(i int) error {
				file, err := d.TextOf("path")
				fmt.Println(i, file)
				return err
			})
		}
		return d.Skip()
	})
	fmt.Println(err)
	// Output:
	// six
	// 0 a
	// 1 b
	// <nil>
}

func FuzzRelaxed(f *testing.F) {
	f.Add(`{"a": [1,], // x` + "\n}")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := io.ReadAll(NewRelaxed(strings.NewReader(s)))
		if err != nil || len(got) > len(s)+1 {
			t.Errorf("%d bytes became %d (%v)", len(s), len(got), err)
		}
	})
}
