package native

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write products.json")

var readProducts = sync.OnceValues(func() ([]Product, error) { return Load(os.DirFS("products")) })

var readSet = sync.OnceValues(func() (*Set, error) {
	all, err := readProducts()
	if err != nil {
		return nil, err
	}
	return NewSet(all)
})

// products returns what the files in the folder products say.
func products(t testing.TB) []Product {
	t.Helper()
	all, err := readProducts()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// extractor recognises the products of the files in the folder products.
func extractor(t testing.TB) Extractor {
	t.Helper()
	s, err := readSet()
	if err != nil {
		t.Fatal(err)
	}
	return Extractor{Set: s}
}

func TestBuiltinIsWhatTheFilesSay(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("[")
	for i, p := range products(t) {
		one, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n")
		b.Write(one)
	}
	b.WriteString("\n]\n")
	if *update {
		if err := os.WriteFile("products.json", b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(b.Bytes(), builtinProducts) {
		t.Error("products.json is not what the files in products say: run this test with -update")
	}
	got, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	want := append([]Product(nil), products(t)...)
	for i := range want {
		want[i].Fact, want[i].Samples = "", nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-files +built in):\n%s", diff)
	}
}
