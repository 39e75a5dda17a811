package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
)

// maxPredicate bounds a predicate, in bytes: in a bundle it becomes a third
// longer.
const maxPredicate = 32 << 20

// readPredicate reads a predicate from a file, or from standard input for "-".
func (env *Env) readPredicate(name string) ([]byte, error) {
	var in io.Reader = env.In
	if name != "-" {
		f, err := os.Open(name) // #nosec G304 -- the person's own file
		if err != nil {
			return nil, fault.As(fault.Unavailable, err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxPredicate+1))
	switch {
	case err != nil:
		return nil, fault.Errorf(fault.Unavailable, "read predicate: %w", err)
	case len(b) > maxPredicate:
		return nil, fault.Errorf(fault.Invalid, "the predicate is larger than %d bytes", maxPredicate)
	}
	return b, nil
}

// hasField reports whether a JSON object has a field.
func hasField(b []byte, name string) bool {
	var fields map[string]json.RawMessage
	return json.Unmarshal(b, &fields) == nil && fields[name] != nil
}

// whole returns the inventory of an image, of which every byte was read: who
// reads a statement cannot see what was left out.
func (env *Env) whole(ctx context.Context, m *image.Image) (*inventory.Inventory, error) {
	scanner, err := env.Settings.Scanner(false, env.warn)
	if err != nil {
		return nil, err
	}
	v, err := scanner.Scan(ctx, m)
	if err != nil {
		return nil, err
	}
	if err := env.incomplete(v); err != nil {
		return nil, err
	}
	if n := len(v.Unreadable); n > 0 {
		return nil, fault.Errorf(fault.Untrusted, "%d %s of the image could not be read, so nothing is stated about it", n, parts(n))
	}
	return v, nil
}

func (env *Env) sbomPredicate(ctx context.Context, m *image.Image, kind string) ([]byte, error) {
	v, err := env.whole(ctx, m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	write := v.WriteCycloneDX
	if kind == "spdx" {
		write = v.WriteSPDX
	}
	err = write(&b)
	return b.Bytes(), err
}

// vulnPredicate is cosign's predicate of a scan (cosign,
// specs/COSIGN_VULN_ATTESTATION_SPEC.md).
type vulnPredicate struct {
	Invocation struct{}     `json:"invocation"`
	Scanner    vulnScanner  `json:"scanner"`
	Metadata   vulnMetadata `json:"metadata"`
}

type vulnScanner struct {
	URI     string     `json:"uri"`
	Version string     `json:"version"`
	DB      vulnDB     `json:"db"`
	Result  scanResult `json:"result"`
}

type vulnDB struct {
	URI     string    `json:"uri"`
	Version string    `json:"version"`
	Updated time.Time `json:"lastUpdate"`
}

type vulnMetadata struct {
	Started  time.Time `json:"scanStartedOn"`
	Finished time.Time `json:"scanFinishedOn"`
}

func (env *Env) scanPredicate(ctx context.Context, m *image.Image) (b []byte, err error) {
	packs, err := env.Settings.Advisories()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, packs.Close()) }()
	started := time.Now().UTC().Truncate(time.Second)
	v, err := env.whole(ctx, m)
	if err != nil {
		return nil, err
	}
	findings, asOf, err := env.Settings.Matcher(packs).Match(ctx, v)
	if err != nil {
		return nil, fmt.Errorf("nothing is stated: %w", err)
	}
	p := vulnPredicate{
		Scanner: vulnScanner{
			URI: "pkg:generic/plimsoll", Version: moduleVersion(),
			DB: vulnDB{URI: "pkg:generic/plimsoll-advisories", Version: asOf.UTC().Format(time.RFC3339), Updated: asOf.UTC()},
			Result: scanResult{
				Image: v.Image, Manifest: v.Manifest, Platform: v.Platform, Distro: v.Distro, AsOf: asOf, Complete: true,
				Counts: counts(findings), Findings: findings, Unreadable: []inventory.Unreadable{},
			},
		},
		Metadata: vulnMetadata{started, time.Now().UTC().Truncate(time.Second)},
	}
	return json.Marshal(p)
}

func moduleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
