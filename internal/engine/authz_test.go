package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func issue(t testing.TB, n *Nonces, method, uri string) string {
	t.Helper()
	nonce, err := n.Issue(method, uri)
	if err != nil {
		t.Fatal(err)
	}
	return nonce
}

// ask asks a plugin as the engine does.
func ask(t testing.TB, p http.Handler, what, body string) authzAnswer {
	t.Helper()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://plugin/"+what, strings.NewReader(body)))
	var a authzAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s: %d %s", what, w.Code, w.Body)
	}
	return a
}

func question(method, uri string, headers map[string]string) string {
	b, err := json.Marshal(map[string]any{"RequestMethod": method, "RequestUri": uri, "RequestHeaders": headers})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestHarmless(t *testing.T) {
	for uri, want := range map[string]bool{
		"/_ping": true, "/v1.41/_ping": true, "/v1.24/info": true, "/version": true,
		"/v1.41/containers/json?all=1": true, "/containers/abc/json?size=1": true, "/v1.41/exec/abc/json": true,
		"/images/json": true, "/images/registry.example.com:5000/a/b:1@sha256:00/json": true,
		"/networks": true, "/networks/bridge": true, "/volumes/data": true, "/plugins": true,
		"/v1.41/%63ontainers/json": true, // the engine serves it as what it is

		"": false, "*": false, "/": false, "info": false, "/v1.41": false, "/v1.41/v1.41/info": false, "/v1.41.1/info": false,
		"//_ping": false, "/_ping/": false, "/x/../info": false, "/./info": false, "/info%2f": false, "/%2e%2e/info": false,
		"/containers/abc/logs": false, "/containers/abc/archive?path=/": false, "/containers/abc/export": false,
		"/containers/abc/top": false, "/containers/abc/attach/ws": false, "/containers/abc/changes": false,
		"/containers/abc%2flogs": false, "/containers/abc%2fexport%3f/json": false, "/containers/abc\n/json": false,
		"/images/abc/get": false, "/images/get": false, "/images/search?term=x": false, "/images/abc/history": false,
		"/images/a/../b/json": false, "/images/a%0ab/json": false,
		"/events": false, "/system/df": false, "/plugins/privileges": false, "/plugins/x/json": false, "/swarm": false, "/secrets": false,
		"/distribution/x/json": false, "/session": false, "/grpc": false, "/_PING": false, "/Info": false, "/info\x00": false,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			if got := harmless(method, uri); got != want {
				t.Errorf("%s %q: %v", method, uri, got)
			}
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "get", ""} {
			if harmless(method, uri) {
				t.Errorf("%s %q is harmless", method, uri)
			}
		}
	}
}

func TestANonceIsUsedOnce(t *testing.T) {
	store := NewNonces()
	p := NewPlugin(store, nil)
	const uri = "/v1.41/containers/create?name=x"
	marked := func(method, uri, nonce string) string {
		return question(method, uri, map[string]string{NonceHeader: nonce})
	}
	first := issue(t, store, "POST", uri)
	good := marked("POST", uri, first)
	if a := ask(t, p, "AuthZPlugin.AuthZRes", good); a.Allow {
		t.Error("an answer came before its request")
	}
	for _, tt := range []struct {
		what, ask, question string
		allow               bool
	}{
		{"the request", "Req", good, true},
		{"again", "Req", good, false},
		{"the answer of another", "Res", marked("POST", "/v1.41/containers/create", first), false},
		{"the answer", "Res", good, true},
		{"the answer again", "Res", good, false},
		{"another method", "Req", marked("DELETE", "/containers/a", issue(t, store, "POST", "/containers/a")), false},
		{"another URI", "Req", marked("POST", "/containers/b", issue(t, store, "POST", "/containers/a")), false},
		{"never issued", "Req", marked("POST", uri, "n77"), false},
		{"never issued, harmless", "Req", marked("GET", "/info", "n77"), false},
		{"empty", "Req", marked("GET", "/info", ""), false},
		{"without", "Req", question("POST", uri, nil), false},
		{"without, its answer", "Res", question("POST", uri, nil), false},
		{"harmless", "Req", question("GET", "/info", nil), true},
		{"harmless, its answer", "Res", question("GET", "/info", nil), true},
		{"two spellings", "Req", question("POST", uri, map[string]string{NonceHeader: issue(t, store, "POST", uri), strings.ToLower(NonceHeader): "x"}), false},
	} {
		if a := ask(t, p, "AuthZPlugin.AuthZ"+tt.ask, tt.question); a.Allow != tt.allow || (a.Msg == "") != tt.allow {
			t.Errorf("%s: %+v", tt.what, a)
		}
	}
}

func TestWhatCannotBeReadIsDenied(t *testing.T) {
	var refused []Refusal
	p := NewPlugin(NewNonces(), func(_ context.Context, r Refusal) { refused = append(refused, r) })
	bodies := map[string]string{
		"empty": "", "no JSON": "<", "null": "null", "list": "[]", "no method": `{"RequestUri":"/info"}`, "no URI": `{"RequestMethod":"GET"}`,
		"unknown field": `{"RequestMethod":"GET","RequestUri":"/info","Sudo":true}`,
		"two":           `{"RequestMethod":"GET","RequestUri":"/info"}{}`,
		"body no bytes": `{"RequestMethod":"GET","RequestUri":"/info","RequestBody":"%"}`,
		"too long":      `{"RequestMethod":"GET","RequestUri":"/info","User":"` + strings.Repeat("x", maxQuestion) + `"}`,
		"cut":           `{"RequestMethod":"GET","RequestUri":"/info"`,
	}
	for name, body := range bodies {
		for _, what := range []string{"AuthZPlugin.AuthZReq", "AuthZPlugin.AuthZRes"} {
			if a := ask(t, p, what, body); a.Allow || a.Msg == "" {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
	if len(refused) != 2*len(bodies) {
		t.Errorf("%d refusals were told", len(refused))
	}
}

func TestPluginIsActivated(t *testing.T) {
	p := NewPlugin(NewNonces(), nil)
	for _, tt := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"POST", "/Plugin.Activate", 200, `{"Implements":["authz"]}`},
		{"GET", "/Plugin.Activate", 405, "only POST"},
		{"POST", "/VolumeDriver.Create", 404, "404 page not found"},
	} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tt.method, "http://plugin"+tt.path, nil))
		if w.Code != tt.code || strings.TrimSpace(w.Body.String()) != tt.body {
			t.Errorf("%s %s: %d %q", tt.method, tt.path, w.Code, w.Body)
		}
	}
}

func TestPassedIsBounded(t *testing.T) {
	p := &passed{max: 8}
	w := func(i int) passage { return passage{nonce: fmt.Sprint(i)} }
	for i := range 1000 {
		p.add(w(i))
		if i%2 == 0 && !p.take(w(i)) {
			t.Fatalf("%d is not there", i)
		}
	}
	if len(p.all) > 8 || len(p.order) > 2*8+16 {
		t.Errorf("%d are remembered in %d places", len(p.all), len(p.order))
	}
	if p.take(w(1)) || !p.take(w(999)) || p.take(w(999)) {
		t.Error("not the youngest are remembered, or twice")
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add([]byte(question("GET", "/v1.41/info", nil)))
	f.Add([]byte(question("POST", "/v1.41/containers/create", map[string]string{NonceHeader: "n0"})))
	f.Add([]byte(`{"RequestMethod":"GET","RequestUri":"/v1.41/%63ontainers/json","ResponseBody":"aGVsbG8=","ResponseStatusCode":200}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a := ask(t, NewPlugin(NewNonces(), nil), "AuthZPlugin.AuthZReq", string(b))
		if !a.Allow {
			return
		}
		q, err := parseQuestion(strings.NewReader(string(b)))
		if err != nil || (q.RequestMethod != "GET" && q.RequestMethod != "HEAD") || strings.Contains(q.RequestURI, "..") {
			t.Errorf("allowed: %q, %v", b, err)
		}
	})
}
