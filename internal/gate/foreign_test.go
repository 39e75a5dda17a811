package gate_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/policy"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

const foreignDocument = `apiVersion: plimsoll/v1
kind: Policy
publishers:
  vendor:
    repositories: ["registry.example.com/vendor/**"]
    mirrors: {"mirror.example.net/**": "registry.example.com/vendor/**"}
    accept:
      - cosign:
          keys:
            - |
              -----BEGIN PUBLIC KEY-----
              MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvNybke7Jc+I2xIsd9ufdvBiIdulj
              7976EkbN69j1tKsGqGuXLIZIxegQmy9WQgpbiqPArJVoNZeFjmCG6Saquw==
              -----END PUBLIC KEY-----
environments:
  production: {signed: {roles: [targets]}}
teams:
  payments:
    members: {users: [alice]}
    may: [run]
    profile: {cpus: 1, memory: 64MiB, pids: 10}
`

// accepter answers as its fields say, and remembers what it was asked.
type accepter struct {
	found   []policy.Foreign
	expires time.Time
	gun     ref.GUN
	image   v1.Descriptor
}

func (a *accepter) Accepted(_ context.Context, gun ref.GUN, image v1.Descriptor, _ []policy.Accept) ([]policy.Foreign, time.Time) {
	a.gun, a.image = gun, image
	return a.found, a.expires
}

func TestForeignSignatures(t *testing.T) {
	good := policy.Foreign{Role: "targets", Format: "cosign", Signer: "sha256:01", Key: "sha256:01"}
	bad := policy.Foreign{Role: "targets", Format: "cosign", Err: fault.Errorf(fault.NotFound, "no cosign signature")}
	down := policy.Foreign{Role: "targets", Format: "cosign", Err: fault.Errorf(fault.Unavailable, "registry is down")}
	for name, tt := range map[string]struct {
		accepter *accepter
		want     []string
	}{
		"signed":           {&accepter{found: []policy.Foreign{good}}, nil},
		"not signed":       {&accepter{found: []policy.Foreign{bad}}, []string{"signed evidence"}},
		"registry down":    {&accepter{found: []policy.Foreign{down}}, []string{"signed unavailable"}},
		"expired":          {&accepter{found: []policy.Foreign{good}, expires: noon}, []string{"signed evidence"}},
		"no answer":        {&accepter{}, []string{"signed unavailable"}},
		"too many answers": {&accepter{found: []policy.Foreign{good, good}}, []string{"signed unavailable"}},
		"no accepter":      {nil, []string{"signed unavailable"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, q := newWorld(t), request()
			p, err := policy.Parse("policy.yaml", []byte(foreignDocument))
			if err != nil {
				t.Fatal(err)
			}
			if w.Policy = p; tt.accepter != nil {
				w.Accepter = tt.accepter
			}
			q.Image = "mirror.example.net/app:1"
			d := decide(t, w, q).Decision
			if got := denials(&d); !slices.Equal(got, tt.want) || d.Allowed() != (tt.want == nil) {
				t.Errorf("got %q, want %q: %+v", got, tt.want, d.Reasons)
			}
			if tt.accepter == nil {
				return
			}
			if tt.accepter.gun != "registry.example.com/vendor/app" || tt.accepter.image.Digest != top || w.asked.Tag != "" {
				t.Errorf("asked about %s of %s; trust data was asked: %q", tt.accepter.image.Digest, tt.accepter.gun, w.asked)
			}
			if i := slices.IndexFunc(d.Reasons, func(r verdict.Reason) bool { return r.Rule == "signed" }); d.Allowed() && !strings.Contains(d.Reasons[i].Message, "without freshness") {
				t.Errorf("the reasons do not say what is missing: %+v", d.Reasons[i])
			}
		})
	}
}
