package oci_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

func artifactOf(subject v1.Descriptor, text string) oci.Artifact {
	return oci.Artifact{
		Type: "application/vnd.example.note", MediaType: "text/plain", Content: []byte(text), Subject: subject,
		Annotations: map[string]string{"who": "alice"},
	}
}

// withSubject pushes a manifest to say something about.
func withSubject(t *testing.T, client *oci.Client, r ref.Reference) v1.Descriptor {
	t.Helper()
	config := []byte("{}")
	d := describe("application/vnd.example.test", config)
	if err := client.PushBlob(t.Context(), r.GUN(), d, opened(config)); err != nil {
		t.Fatal(err)
	}
	m, err := client.PushManifest(t.Context(), r, v1.MediaTypeImageManifest, manifestOf(t, config, nil), oci.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestArtifacts(t *testing.T) {
	for _, api := range []bool{true, false} {
		t.Run(fmt.Sprintf("API %v", api), func(t *testing.T) {
			client, r := serve(t, realRegistry(registry.WithReferrersSupport(api)))
			subject := withSubject(t, client, r)
			pushed, err := client.PushArtifact(t.Context(), r.GUN(), artifactOf(subject, "hello"))
			if err != nil {
				t.Fatal(err)
			}
			list, err := client.Referrers(t.Context(), r.WithDigest(subject.Digest), "")
			if err != nil || len(list) != 1 || list[0].Digest != pushed.Digest {
				t.Fatalf("%+v, %v", list, err)
			}
			m, err := client.ArtifactManifest(t.Context(), r.GUN(), subject.Digest, list[0])
			if err != nil || m.ArtifactType != "application/vnd.example.note" || m.Annotations["who"] != "alice" || m.Config.MediaType != v1.MediaTypeEmptyJSON {
				t.Fatalf("%+v, %v", m, err)
			}
			b, err := client.ArtifactContent(t.Context(), r.GUN(), m, 5)
			if diff := cmp.Diff("hello", string(b)); diff != "" || err != nil {
				t.Error(diff, err)
			}
			if _, err := client.ArtifactContent(t.Context(), r.GUN(), m, 4); !fault.Is(err, fault.Untrusted) {
				t.Errorf("over the limit: %v", err)
			}
			if _, err := client.ArtifactManifest(t.Context(), r.GUN(), pushed.Digest, list[0]); !fault.Is(err, fault.Untrusted) {
				t.Errorf("another subject: %v", err)
			}
			gone := v1.Descriptor{Digest: digest.FromString("gone"), MediaType: v1.MediaTypeImageManifest, Size: 1}
			if _, err := client.ArtifactManifest(t.Context(), r.GUN(), subject.Digest, gone); !fault.Is(err, fault.Unavailable) {
				t.Errorf("listed and gone: %v", err)
			}
			m.Layers = append(m.Layers, m.Layers[0])
			if _, err := client.ArtifactContent(t.Context(), r.GUN(), m, 5); !fault.Is(err, fault.Untrusted) {
				t.Errorf("two files: %v", err)
			}
			if _, err := client.File(t.Context(), r.GUN(), v1.Descriptor{Digest: gone.Digest, MediaType: "x", Size: 1}, 5); !fault.Is(err, fault.Unavailable) {
				t.Errorf("file that is gone: %v", err)
			}
		})
	}
}

// TestReferrerIsListedAgain: on a registry without the API, somebody writes over
// the list on which something was just put.
func TestReferrerIsListedAgain(t *testing.T) {
	client, r := serve(t, &overwritten{next: realRegistry()})
	subject := withSubject(t, client, r)
	for i := range 3 {
		if _, err := client.PushArtifact(t.Context(), r.GUN(), artifactOf(subject, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	list, err := client.Referrers(t.Context(), r.WithDigest(subject.Digest), "application/vnd.example.note")
	if err != nil || len(list) != 3 {
		t.Errorf("%d of 3 are listed: %v", len(list), err)
	}
}

// overwritten is a registry without conditional requests that loses the first
// list of referrers once it was put: somebody wrote over it.
type overwritten struct {
	next http.Handler
	once sync.Once
}

func (o *overwritten) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/referrers/") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256-") {
		lost := false
		o.once.Do(func() { lost = true })
		if lost {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
			return
		}
	}
	o.next.ServeHTTP(w, r)
}

func TestLinksOfLists(t *testing.T) {
	link := ""
	client, r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("last") != "" {
			_, _ = io.WriteString(w, `{"tags":["b"]}`)
			return
		}
		w.Header().Set("Link", link)
		_, _ = io.WriteString(w, `{"tags":["a"]}`)
	}))
	for text, want := range map[string][]string{
		"": {"a"}, `</v2/team/app/tags/list?last=a>; rel=next`: {"a", "b"}, `</v2/team/app/tags/list?last=a>;  rel = "next"`: {"a", "b"},
		`</v2/team/app/tags/list?last=a>; title="x"; rel=next; x`: {"a", "b"},
		`</v2/team/app/tags/list?last=a>`:                         nil, `</v2/team/app/tags/list?last=a>; rel=nextdoor`: nil, `garbage`: nil,
	} {
		link = text
		tags, err := client.Tags(t.Context(), r.GUN())
		if diff := cmp.Diff(want, tags); diff != "" || (want == nil) != fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v %s", text, err, diff)
		}
	}
}
