package oci_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
)

const (
	sum     = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	blobX   = `{"mediaType":"x/y","size":1,"digest":"` + sum + `"}`
	anIndex = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + blobX + `]}`
)

func TestParseDocument(t *testing.T) {
	manifest := `{"schemaVersion":2,"config":` + blobX + `,"layers":[` + blobX + `]}`
	for mediaType, b := range map[string]string{
		v1.MediaTypeImageManifest: manifest, oci.DockerManifest: manifest,
		v1.MediaTypeImageIndex: anIndex, "": anIndex,
	} {
		doc, err := oci.ParseDocument(mediaType, []byte(b))
		if err != nil || (doc.Index == nil) == (doc.Manifest == nil) {
			t.Errorf("%q: %+v, %v", mediaType, doc, err)
		}
	}
}

// TestDocumentsThatReadersDisagreeAbout holds forms that one program takes for
// this image and another for that one.
func TestDocumentsThatReadersDisagreeAbout(t *testing.T) {
	tests := []struct{ name, mediaType, doc, want string }{
		{"both (CVE-2021-41190)", v1.MediaTypeImageManifest, `{"schemaVersion":2,"manifests":[],"config":` + blobX + `}`, "at once"},
		{"another media type inside", v1.MediaTypeImageManifest, anIndex, "wrong media type"},
		{"index without a word", v1.MediaTypeImageManifest, `{"schemaVersion":2,"manifests":[]}`, "is not the"},
		{"manifest as index", v1.MediaTypeImageIndex, `{"schemaVersion":2,"config":` + blobX + `}`, "is not the"},
		{"nobody says the type", "", `{"schemaVersion":2,"config":` + blobX + `}`, "media type"},
		{"a field twice", v1.MediaTypeImageManifest, `{"schemaVersion":2,"layers":[],"layers":[` + blobX + `],"config":` + blobX + `}`, "twice"},
		{"a field in capitals", v1.MediaTypeImageManifest, `{"schemaVersion":2,"layers":[],"Layers":[` + blobX + `],"config":` + blobX + `}`, `"Layers" instead of "layers"`},
		{"a field with a long s", v1.MediaTypeImageManifest, `{"schemaVersion":2,"layers":[],"layerſ":[` + blobX + `],"config":` + blobX + `}`, `instead of "layers"`},
		{"two subjects", v1.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[],"subject":` + blobX + `,"\u017fubject":` + blobX + `}`, `instead of "subject"`},
		{"something behind", v1.MediaTypeImageIndex, anIndex + anIndex, "follows"},
		{"schema 1", v1.MediaTypeImageManifest, `{"schemaVersion":1,"fsLayers":[]}`, "schema version"},
		{"negative size", v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + strings.Replace(blobX, `:1,`, `:-1,`, 1) + `}`, "size -1"},
		{"unknown digest", v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + strings.Replace(blobX, "sha256:", "md5:", 1) + `}`, "digest"},
		{"no config", v1.MediaTypeImageManifest, `{"schemaVersion":2,"layers":[]}`, "config"},
		{"deep", v1.MediaTypeImageManifest, strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested"},
		{"many", v1.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[` + blobX + strings.Repeat(","+blobX, 1000) + `]}`, "more than 1000"},
		{"bad subject", v1.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[],"subject":{}}`, "subject"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := oci.ParseDocument(tt.mediaType, []byte(tt.doc))
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want invalid with %q", err, tt.want)
			}
		})
	}
}

func TestVerifyReader(t *testing.T) {
	content := []byte("content")
	d := describe("x/y", content)
	broken := errors.New("broken")
	tests := []struct {
		name string
		r    io.Reader
		d    v1.Descriptor
		kind fault.Kind
		want string // "" if all is well
	}{
		{"right", bytes.NewReader(content), d, 0, ""},
		{"right, byte by byte", iotest.OneByteReader(bytes.NewReader(content)), d, 0, ""},
		{"right, end with the data", iotest.DataErrReader(bytes.NewReader(content)), d, 0, ""},
		{"empty", strings.NewReader(""), describe("x/y", nil), 0, ""},
		{"changed", strings.NewReader("contenX"), d, fault.Untrusted, "have digest"},
		{"shorter", strings.NewReader("conten"), d, fault.Untrusted, "cut short: 6 of 7"},
		{"longer", strings.NewReader("content!"), d, fault.Untrusted, "longer"},
		{"broken", iotest.ErrReader(broken), d, fault.Internal, "broken"},
		{"no digest", bytes.NewReader(content), v1.Descriptor{Size: 7}, fault.Invalid, "digest"},
		{"negative", bytes.NewReader(content), v1.Descriptor{Size: -1, Digest: d.Digest}, fault.Invalid, "negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := oci.VerifyReader(io.NopCloser(tt.r), tt.d)
			b, err := io.ReadAll(r)
			if tt.want == "" {
				if err != nil || int64(len(b)) != tt.d.Size {
					t.Errorf("%q, %v", b, err)
				}
				return
			}
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %v with %q", err, tt.kind, tt.want)
			}
			if _, again := r.Read(make([]byte, 1)); !errors.Is(again, err) {
				t.Errorf("then %v", again)
			}
		})
	}
}

// TestVerifyReaderDeceivesNobodyWhoCounts reads exactly as many bytes as there
// should be, and so never asks for io.EOF.
func TestVerifyReaderDeceivesNobodyWhoCounts(t *testing.T) {
	for _, content := range []string{"contenX", "content!"} {
		r := oci.VerifyReader(io.NopCloser(strings.NewReader(content)), describe("x/y", []byte("content")))
		if _, err := io.ReadFull(r, make([]byte, 7)); !fault.Is(err, fault.Untrusted) {
			t.Errorf("%q: error %v, want untrusted", content, err)
		}
	}
}

func ExampleVerifyReader() {
	named := describe("text/plain", []byte("what was signed"))
	r := oci.VerifyReader(io.NopCloser(strings.NewReader("what was sent..")), named)
	_, err := io.ReadAll(r)
	fmt.Println(fault.KindOf(err))
	// Output: untrusted
}

func FuzzParseDocument(f *testing.F) {
	f.Add(v1.MediaTypeImageIndex, []byte(anIndex))
	f.Add(v1.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"config":`+blobX+`,"layers":[`+blobX+`]}`))
	f.Fuzz(func(t *testing.T, mediaType string, b []byte) {
		doc, err := oci.ParseDocument(mediaType, b)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("error %v is %v", err, fault.KindOf(err))
			}
			return
		}
		if (doc.Index == nil) == (doc.Manifest == nil) || (!oci.IsIndex(doc.MediaType) && !oci.IsManifest(doc.MediaType)) {
			t.Errorf("document %+v", doc)
		}
	})
}

func FuzzLayoutIndex(f *testing.F) {
	f.Add([]byte(anIndex), "")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`), "1")
	f.Fuzz(func(t *testing.T, b []byte, tag string) {
		index, err := oci.ParseLayoutIndex(b)
		if err != nil {
			return
		}
		if d, err := oci.Choose(index, tag); err == nil && oci.CheckDescriptor(d) != nil {
			t.Errorf("chose %+v", d)
		}
	})
}
