package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/gate"
	"plimsoll/internal/key"
	"plimsoll/internal/key/file"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/ocistore"
)

// Trust is the services that read and write trust collections.
type Trust struct {
	Registry *oci.Client // that the collections are read through
	Client   *trust.Client
	Store    trust.Store
	Pins     *trust.PinFile
	Records  *trust.Records
	Keys     key.Providers
	known    func(r ref.Reference) (ref.GUN, trust.Pins, error)
	makers   func() (key.AttestationRoots, error)
	notify   func(string)
}

// Trust returns the services over the registries, with state in the data
// folder.
func (s Settings) Trust(p key.Prompter) *Trust {
	registry := s.Registry()
	store := ocistore.New(ocistore.Config{Registry: registry})
	dir := filepath.Join(s.Data, "trust")
	return &Trust{
		Registry: registry,
		Client:   trust.NewClient(trust.ClientConfig{Source: store, State: filepath.Join(dir, "client"), Now: time.Now}),
		Store:    store,
		Pins:     trust.NewPinFile(dir),
		Records:  trust.NewRecords(filepath.Join(dir, "publisher")),
		Keys:     Keys(p),
		known:    s.Known,
		makers:   s.TokenMakers,
		notify:   notifier(p),
	}
}

// notifier returns what tells the person behind p something.
func notifier(p key.Prompter) func(string) {
	if n, ok := p.(key.Notifier); ok {
		return n.Notify
	}
	return func(string) {}
}

// Known returns the root keys that the publisher of gun is known by here: see
// [Settings.Known].
func (t *Trust) Known(gun ref.GUN) (trust.Pins, error) {
	about, pins, err := t.known(gun.Reference())
	if err == nil && about != gun {
		err = fault.Errorf(fault.Invalid, "%q is a mirror of %q, which is the name that is signed", gun, about)
	}
	return pins, err
}

// Known returns the GUN that r's trust data is about and the root keys that its
// publisher is known by: those of the policy's publisher, where there is a
// policy and it knows one, and otherwise those pinned on this machine. A policy
// that a person named and that is not there is an error.
func (s Settings) Known(r ref.Reference) (ref.GUN, trust.Pins, error) {
	document, err := ReadPolicy(s.Policy)
	switch {
	case fault.Is(err, fault.NotFound) && !s.policyNamed:
	case err != nil:
		return "", trust.Pins{}, err
	default:
		if _, p, gun := document.Publisher(r); p != nil && len(p.Accept) > 0 {
			return "", trust.Pins{}, fault.Errorf(fault.Untrusted, "the policy knows the publisher of %q by signatures of other formats (accept), not by root keys", gun)
		} else if p != nil {
			return gun, trust.Pins{Threshold: p.RootKeys.Threshold, Keys: p.RootKeys.Keys}, nil
		}
	}
	pins, err := trust.NewPinFile(filepath.Join(s.Data, "trust")).Pins(r.GUN())
	return r.GUN(), pins, err
}

// Truster is the client as the gate asks it.
type Truster struct{ Client *trust.Client }

var _ gate.Truster = Truster{}

// Statement implements [gate.Truster].
func (t Truster) Statement(ctx context.Context, gun ref.GUN, pins gate.Pins, r ref.Reference) (*gate.Statement, error) {
	s, err := t.Client.Statement(ctx, gun, trust.Pins{Threshold: pins.Threshold, Keys: pins.Keys}, r)
	if err != nil {
		return nil, err
	}
	return &gate.Statement{
		GUN: s.GUN, Roles: s.Roles, Signers: s.Signers, Errors: s.Errors,
		Expires: s.Expires, RootKeys: s.RootKeys, RootVersion: s.RootVersion, Attestations: s.Attestations,
	}, nil
}

// Publisher is a repository together with the keys that this machine holds for
// it. It opens each key when it is first needed and closes all of them with
// Close.
type Publisher struct {
	*trust.Repository
	Record *trust.Record
	// Announce, if set, is called before the first signature with how often each
	// key will sign; Signatures keeps it for afterwards.
	Announce   func([]Signatures)
	Signatures []Signatures

	trust    *Trust
	expiries trust.Expiries        // the repository's
	makers   key.AttestationRoots  // whose attestations of our own keys are published
	open     map[string]key.Signer // by fingerprint
	named    []*trust.Key          // by the command line, not only remembered
	refused  map[string]error      // URIs of keys in tokens that could not be opened
}

var (
	_ trust.Keyring = (*Publisher)(nil)
	_ trust.Holder  = (*Publisher)(nil)
)

// Signatures is how often one key signs.
type Signatures struct {
	Key   string `json:"key"` // fingerprint
	URI   string `json:"uri"`
	Count int    `json:"count"`
}

func (p *Publisher) announce(_ context.Context, all []trust.Asked) error {
	p.Signatures = nil
	for _, a := range all {
		f := a.Key.Fingerprint
		p.Signatures = append(p.Signatures, Signatures{f, p.Record.URI(f), a.Signatures})
	}
	if p.Announce != nil {
		p.Announce(p.Signatures)
	}
	return nil
}

// Publisher returns the publisher of gun with the keys that were remembered and
// those at uris. Pins are not needed to start a collection: fresh says that this
// is about to happen.
func (t *Trust) Publisher(ctx context.Context, gun ref.GUN, uris []string, fresh bool) (*Publisher, error) {
	record, err := t.Records.Load(gun)
	if err != nil {
		return nil, err
	}
	expiries, err := record.Times()
	if err != nil {
		return nil, err
	}
	var pins trust.Pins
	if !fresh {
		if pins, err = t.Known(gun); err != nil {
			return nil, err
		}
	}
	makers, err := t.makers()
	if err != nil {
		return nil, err
	}
	p := &Publisher{Record: record, trust: t, expiries: expiries, makers: makers, open: map[string]key.Signer{}, refused: map[string]error{}}
	p.Repository = trust.NewRepository(trust.RepositoryConfig{
		GUN: gun, Store: t.Store, Client: t.Client, Pins: pins, Keys: p, Expiries: expiries, Makers: makers, Announce: p.announce,
	})
	for _, uri := range uris {
		k, err := p.Hold(ctx, uri)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.named = append(p.named, k)
	}
	return p, nil
}

// Hold opens the key at uri and returns it in TUF's form.
func (p *Publisher) Hold(ctx context.Context, uri string) (*trust.Key, error) {
	signer, err := p.trust.Keys.Open(ctx, uri)
	if err != nil {
		return nil, err
	}
	k, err := trust.NewKey(signer.Public())
	if err != nil {
		return nil, errors.Join(err, signer.Close())
	}
	if err := p.attest(ctx, uri, signer, k); err != nil {
		return nil, errors.Join(err, signer.Close())
	}
	if p.open[k.Fingerprint] != nil {
		return k, signer.Close()
	}
	p.open[k.Fingerprint] = signer
	if d, ok := signer.(key.Described); ok {
		uri = d.Info().URI
	}
	if uri, err = fromAnywhere(uri); err != nil {
		return nil, errors.Join(err, signer.Close())
	}
	p.Record.Hold(trust.HeldKey{Fingerprint: k.Fingerprint, URI: uri})
	return k, nil
}

// attest lets the key's token prove what it can. What the makers that are known
// here do not vouch for is said and left out: nobody else would believe it.
func (p *Publisher) attest(ctx context.Context, uri string, signer key.Signer, k *trust.Key) error {
	token, ok := signer.(key.Attester)
	if !ok {
		return nil
	}
	chain, err := token.Attest(ctx)
	if err == nil {
		_, err = key.VerifyAttestation(k.Public, chain, p.makers)
	}
	if fault.Is(err, fault.Untrusted) {
		p.trust.notify(fmt.Sprintf("key %q counts as not attested: %v", uri, err))
		return nil
	}
	if err == nil {
		k.Attestation = chain
	}
	return err
}

// fromAnywhere returns a URI that names the same key from every folder.
func fromAnywhere(uri string) (string, error) {
	path, ok := strings.CutPrefix(uri, file.Scheme+":")
	if !ok {
		return uri, nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("key %q: %w", uri, err)
	}
	return file.Scheme + ":" + path, nil
}

// Signer implements [trust.Keyring].
func (p *Publisher) Signer(ctx context.Context, k *trust.Key) (key.Signer, error) {
	if s := p.open[k.Fingerprint]; s != nil {
		return s, nil
	}
	uri := p.Record.URI(k.Fingerprint)
	if uri == "" {
		return nil, fault.Errorf(fault.NotFound, "key %s is not held here", k.Fingerprint)
	}
	if err := p.refused[uri]; err != nil {
		return nil, err
	}
	held, err := p.Hold(ctx, uri)
	if fault.Is(err, fault.NotFound) {
		return nil, gone(k, uri)
	} else if err != nil {
		p.refuse(ctx, uri, err)
		return nil, err
	}
	if held.Fingerprint != k.Fingerprint {
		return nil, fault.Errorf(fault.Unavailable, "%q now holds key %s, not %s", uri, held.Fingerprint, k.Fingerprint)
	}
	return p.open[k.Fingerprint], nil
}

// refuse remembers that a key could not be opened, so that a service does not
// use up the tries that a token grants for its PIN.
func (p *Publisher) refuse(ctx context.Context, uri string, err error) {
	if ctx.Err() == nil && !strings.HasPrefix(uri, file.Scheme+":") {
		p.refused[uri] = fmt.Errorf("it failed before and is not tried again, since a token counts wrong PINs: %w", err)
	}
}

// gone is the error for a key that is remembered and not where it was.
func gone(k *trust.Key, uri string) error {
	err := fault.Errorf(fault.Unavailable, "key %s is remembered as %q, and is not there any more", k.Fingerprint, uri)
	return fault.Hint(err, "if it was moved, name it where it is now, with --key URI (sign) or --with URI (trust); if it is lost: plimsoll trust compromised GUN %s --lost", k.Fingerprint)
}

// SetExpiries lets fn change how long what is signed from now on is valid.
func (p *Publisher) SetExpiries(fn func(*trust.Record) error) error {
	if err := fn(p.Record); err != nil {
		return err
	}
	expiries, err := p.Record.Times()
	if err != nil {
		return err
	}
	maps.Copy(p.expiries, expiries)
	return nil
}

// Remember saves which keys are held.
func (p *Publisher) Remember() error {
	if err := p.trust.Records.Save(p.Record); err != nil {
		return fmt.Errorf("remember where the keys are: %w", err)
	}
	return nil
}

// Close closes all keys. They are opened again when they are needed.
func (p *Publisher) Close() error {
	var all []error
	for _, s := range p.open {
		all = append(all, s.Close())
	}
	clear(p.open)
	return errors.Join(all...)
}
