package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// How long before an expiry trust status warns: what is signed by hand once a
// year needs more notice than what lives for days.
const (
	soonRoot   = 30 * 24 * time.Hour
	soonOnline = 2 * 24 * time.Hour
)

type roleState struct {
	Role      string     `json:"role"`
	Version   int64      `json:"version"` // 0 if never signed
	Expires   *time.Time `json:"expires,omitempty"`
	State     string     `json:"state"` // ok, expires soon, expired, never signed
	Threshold int        `json:"threshold"`
	Keys      []keyState `json:"keys"`
	Paths     []string   `json:"paths,omitempty"`
	Targets   *int       `json:"targets,omitempty"`
}

type keyState struct {
	Fingerprint string `json:"fingerprint"`
	KeyID       string `json:"keyid"`
	Type        string `json:"type"`
	Signed      bool   `json:"signed"`
	URI         string `json:"uri,omitempty"` // if it is held here

	Attested *attestation `json:"attested,omitempty"` // what its token proves, if the root says so
}

func newTrustStatus(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "status GUN",
		Short: "Show every role: version, expiry, threshold, keys",
		Long: `Show every role of a repository's trust data: version, expiry, threshold and keys, and
which of the keys are held here. Expired metadata is shown, not refused.`,
		Example: "  plimsoll trust status registry.example.com/team/app\n  plimsoll trust status registry.example.com/team/app -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			gun, err := ref.ParseGUN(args[0])
			if err != nil {
				return err
			}
			return env.trustStatus(cmd, gun)
		},
	}
}

func (env *Env) trustStatus(cmd *cobra.Command, gun ref.GUN) error {
	if err := env.checkOutput(); err != nil {
		return err
	}
	services := env.Settings.Trust(env)
	p := env.startProgress("reading trust data of " + string(gun))
	status, err := readStatus(cmd, services, gun)
	p.finish()
	if err != nil {
		return err
	}
	record, err := services.Records.Load(gun)
	if err != nil {
		return err
	}
	v := struct {
		GUN   ref.GUN     `json:"gun"`
		Roles []roleState `json:"roles"`
	}{GUN: gun}
	attested, err := env.attestations(status.Attestations)
	if err != nil {
		return err
	}
	for _, r := range status.Roles {
		v.Roles = append(v.Roles, roleStateOf(r, record, attested, status.Now))
	}
	return env.print(v, func(w io.Writer) {
		fmt.Fprintln(w, "ROLE\tVERSION\tEXPIRES\tSTATE\tSIGNED BY\tKEY\tHELD AS\tTOKEN")
		for _, r := range v.Roles {
			printRole(w, r)
		}
	})
}

func readStatus(cmd *cobra.Command, t *app.Trust, gun ref.GUN) (s *trust.Status, err error) {
	pins, err := t.Known(gun)
	if err != nil {
		return nil, err
	}
	trusted, err := t.Client.Inspect(cmd.Context(), gun, pins)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, trusted.Close()) }()
	return trusted.Status(cmd.Context())
}

func roleStateOf(r trust.RoleStatus, record *trust.Record, attested map[string]attestation, now time.Time) roleState {
	s := roleState{Role: r.Role, Version: r.Version, State: expiryState(r.Role, r.Expires, now), Threshold: r.Threshold, Paths: r.Paths, Keys: []keyState{}}
	if !r.Expires.IsZero() {
		s.Expires = &r.Expires
	}
	if r.Role != trust.RoleRoot && r.Role != trust.RoleSnapshot && r.Role != trust.RoleTimestamp {
		s.Targets = &r.Targets
	}
	for _, k := range r.Keys {
		state := keyState{k.Fingerprint, k.ID, k.Type, k.Signed, record.URI(k.Fingerprint), nil}
		if a, ok := attested[k.Fingerprint]; ok {
			state.Attested = &a
		}
		s.Keys = append(s.Keys, state)
	}
	return s
}

// expiryState says how a role's expiry stands.
func expiryState(role string, expires, now time.Time) string {
	soon := soonRoot
	if role == trust.RoleSnapshot || role == trust.RoleTimestamp {
		soon = soonOnline
	}
	switch left := expires.Sub(now); {
	case expires.IsZero():
		return "never signed"
	case left <= 0:
		return "expired"
	case left < soon:
		return "expires soon"
	}
	return "ok"
}

func printRole(w io.Writer, r roleState) {
	signed := 0
	for _, k := range r.Keys {
		if k.Signed {
			signed++
		}
	}
	expires := "-"
	if r.Expires != nil {
		expires = date(*r.Expires)
	}
	line := fmt.Sprintf("%s\t%d\t%s\t%s\t%d, needs %d of %d", r.Role, r.Version, expires, r.State, signed, r.Threshold, len(r.Keys))
	for _, k := range r.Keys {
		held := k.URI
		if held == "" {
			held = "-"
		}
		token := "-"
		if k.Attested != nil {
			token = oneLine(k.Attested.words())
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(line), short(k.Fingerprint), printable(held), token)
		line = strings.Repeat("\t", 4)
	}
}
