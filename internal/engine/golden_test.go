package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
)

// bodies are the types and the legacy members by what a request ends in.
func bodyFor(name string) (into any, old legacy) {
	for suffix, f := range map[string]func() (any, legacy){
		"containers_create.json":   func() (any, legacy) { return &container.CreateRequest{}, legacyCreate },
		"containers_update.json":   func() (any, legacy) { return &container.UpdateConfig{}, legacyUpdate },
		"containers_exec.json":     func() (any, legacy) { return &container.ExecCreateRequest{}, legacyExec },
		"exec_start.json":          func() (any, legacy) { return &container.ExecStartRequest{}, nil },
		"networks_create.json":     func() (any, legacy) { return &network.CreateRequest{}, legacyNetwork },
		"networks_connect.json":    func() (any, legacy) { return &network.ConnectRequest{}, nil },
		"networks_disconnect.json": func() (any, legacy) { return &network.DisconnectRequest{}, nil },
		"volumes_create.json":      func() (any, legacy) { return &volume.CreateRequest{}, nil },
	} {
		if strings.HasSuffix(name, suffix) {
			return f()
		}
	}
	return nil, nil
}

// TestBodiesOfClients reads what real clients of several versions sent, over
// several versions of the API: docker 20.10.24 and 28.2.2. What goes on says all
// that they said.
func TestBodiesOfClients(t *testing.T) {
	files, err := filepath.Glob("testdata/clients/*.json")
	if err != nil || len(files) < 17 {
		t.Fatalf("%d captured bodies, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		into, old := bodyFor(file)
		if into == nil {
			t.Errorf("%s: of no known request", file)
			continue
		}
		if err := decodeBody(data, into, old); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		again, err := json.Marshal(into)
		if err != nil {
			t.Fatal(err)
		}
		var was, is any
		if err := json.Unmarshal(data, &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &is); err != nil {
			t.Fatal(err)
		}
		for _, lost := range missing("", was, is) {
			if _, ok := old[strings.TrimPrefix(lost, ".")]; !ok {
				t.Errorf("%s: %s is not passed on", file, lost)
			}
		}
		judgeCaptured(t, file, into)
	}
}

// judgeCaptured checks that the fields of captured bodies are among those that may
// be asked for.
func judgeCaptured(t *testing.T, file string, into any) {
	t.Helper()
	p := profile.Profile{CPUs: 2, Memory: 1 << 30, PIDs: 100, Network: profile.Network{Mode: "bridge", Publish: []string{"18080"}}}
	q := &request{p: &Proxy{}, profile: &p}
	var err error
	switch body := into.(type) {
	case *container.CreateRequest:
		if err = q.checkConfig(body.Config); err == nil {
			err = q.checkHost(body.HostConfig)
		}
		if err == nil && (body.HostConfig.Memory == 0 || body.HostConfig.PidsLimit == nil || *body.HostConfig.PidsLimit == 0 || body.HostConfig.NanoCPUs == 0) {
			t.Errorf("%s: a container without limits", file)
		}
	case *container.UpdateConfig:
		if err = updatable.check(body, ""); err == nil {
			err = limitUpdate(&body.Resources, &p)
		}
	case *container.ExecCreateRequest:
		err = execFields.check(body, "")
	case *network.CreateRequest:
		if body.IPAM != nil && len(body.IPAM.Config) > 0 {
			if err = q.checkNetwork(body); !fault.Is(err, fault.Denied) {
				t.Errorf("%s: addresses were chosen: %v", file, err)
			}
			body.IPAM.Config = nil
		}
		err = q.checkNetwork(body)
	}
	if err != nil {
		t.Errorf("%s: %v", file, err)
	}
}

// missing lists the members of was that say something and are not so in is.
func missing(at string, was, is any) []string {
	object, ok := was.(map[string]any)
	if !ok {
		if was == nil || reflect.ValueOf(was).IsZero() || reflect.DeepEqual(was, is) || fmt.Sprint(was) == "[]" {
			return nil
		}
		return []string{at}
	}
	others, _ := is.(map[string]any)
	var all []string
	for name, v := range object {
		all = append(all, missing(at+"."+name, v, others[name])...)
	}
	return all
}

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"/v1.41/containers/json?all=1", "/%63ontainers/json", "//x", "/v1.41/images/a/b%3Ac/json", "/x/../y", "/v1.24/_ping", "/v1.41/a%2fb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		target, err := parseTarget(uri)
		if err != nil {
			return
		}
		path := target.path()
		again, err := parseTarget(path)
		if err != nil || again.path() != path || !reflect.DeepEqual(again.segments, target.segments) || again.version != target.version {
			t.Errorf("%q is %q, which is read as %q, %v", uri, path, again.path(), err)
		}
		if strings.ContainsAny(path, "%?#\\\x00\r\n ") || strings.Contains(path, "//") || strings.Contains(path+"/", "/../") {
			t.Errorf("%q came through as %q", uri, path)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"all=1&filters=%7B%7D", "a=1&a=2", "x", "all=1;b=2", "t=a&t=b", "%61ll=1&all=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		const known params = "all filters t*"
		v, err := known.parse(query)
		if err != nil {
			return
		}
		if len(v["all"]) > 1 || len(v["filters"]) > 1 {
			t.Errorf("%q has a parameter twice", query)
		}
		again, err := known.parse(v.Encode())
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("%q is %v, which is read as %v, %v", query, v, again, err)
		}
	})
}

// FuzzDecodeBody holds the decoder against encoding/json: what it takes, an engine
// reads in the same way, whatever its rules for letter case and repetition.
func FuzzDecodeBody(f *testing.F) {
	for _, seed := range []string{`{"Image":"a","HostConfig":{"Privileged":true}}`, `{"image":"a"}`, `{"Image":"a","Image":"b"}`, `{"HostConfig":{"KernelMemory":0}}`, `{"Labels":{"a":"1","A":"2"}}`, `{"Image":"a"}{}`, `null`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var body container.CreateRequest
		if decodeBody(data, &body, legacyCreate) != nil {
			return
		}
		again, err := json.Marshal(body)
		if err != nil {
			t.Skip() // an address with a zone, for example, is not written
		}
		var second container.CreateRequest
		if err := decodeBody(again, &second, nil); err != nil {
			t.Errorf("%q is written as %q, which is refused: %v", data, again, err)
		}
	})
}
