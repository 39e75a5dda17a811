package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// The states of a role, from good to bad.
const (
	stateOK      = "ok"
	stateNever   = "never signed"
	stateSoon    = "expires soon"
	stateExpired = "expired"
	stateBroken  = "broken"
)

// statusState is what trust status says of a repository.
type statusState struct {
	GUN      ref.GUN     `json:"gun"`
	State    string      `json:"state"` // the worst of the roles'
	Warnings []string    `json:"warnings"`
	Roles    []roleState `json:"roles"`
}

type roleState struct {
	Role      string     `json:"role"`
	Version   int64      `json:"version"` // 0 if never signed
	Expires   *time.Time `json:"expires,omitempty"`
	State     string     `json:"state"`
	Reason    string     `json:"reason,omitempty"` // of "broken"
	Threshold int        `json:"threshold"`
	Keys      []keyState `json:"keys"`
	Elsewhere int        `json:"elsewhere"` // how many signatures must come from other machines
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
	var warn string
	cmd := &cobra.Command{
		Use:   "status GUN",
		Short: "Show every role: version, expiry, threshold, keys, and who is missing",
		Long: `Show every role of a repository's trust data: version, expiry, threshold and keys, which of
the keys are held here, and how many signatures must come from elsewhere. Expired metadata is
shown, not refused.

For monitoring, the exit code is 0 if all is well, 3 if a role expires soon, and 4 if one has
expired. Soon is a fifth of the time for which the role signs, 30 days at most, or --warn.`,
		Example: "  plimsoll trust status registry.example.com/team/app\n" +
			"  plimsoll trust status registry.example.com/team/app --warn 45d -o json",
		Args: cobra.ExactArgs(1),
		RunE: withGUN(func(cmd *cobra.Command, gun ref.GUN, args []string) error {
			return env.trustStatus(cmd, gun, warn)
		}),
	}
	cmd.Flags().StringVar(&warn, "warn", "", "how long before an expiry to warn (default: a fifth of the role's time, 30d at most)")
	return cmd
}

func (env *Env) trustStatus(cmd *cobra.Command, gun ref.GUN, warn string) error {
	if err := env.checkOutput(); err != nil {
		return err
	}
	services := env.Settings.Trust(env)
	record, err := services.Records.Load(gun)
	if err != nil {
		return err
	}
	notice, err := noticeOf(record, warn)
	if err != nil {
		return err
	}
	p := env.startProgress("reading trust data of " + string(gun))
	status, err := services.Status(cmd.Context(), gun)
	p.finish()
	if err != nil {
		return err
	}
	attested, err := env.attestations(status.Attestations)
	if err != nil {
		return err
	}
	v := statusState{GUN: gun, State: stateOK, Warnings: []string{}}
	for _, r := range status.Roles {
		v.add(roleStateOf(r, record, attested, expiryState(r.Expires, status.Now, notice(r.Role))))
	}
	if err := env.print(v, func(w io.Writer) { printStatus(w, v) }); err != nil {
		return err
	}
	switch v.State {
	case stateExpired, stateBroken:
		return &exitError{code: exitUntrusted}
	case stateSoon:
		return &exitError{code: exitDenied}
	}
	return nil
}

// noticeOf returns how long before its expiry a role is due.
func noticeOf(record *trust.Record, warn string) (func(role string) time.Duration, error) {
	if warn != "" {
		d, err := parseDays(warn)
		if err != nil {
			return nil, fault.Errorf(fault.Usage, "--warn %q: want a time, as in 30d", warn)
		}
		return func(string) time.Duration { return d }, nil
	}
	times, err := record.Times()
	return times.Notice, err
}

// add adds a role, and what is to be done about it.
func (v *statusState) add(r roleState) {
	v.Roles = append(v.Roles, r)
	rank := []string{stateOK, stateNever, stateSoon, stateExpired, stateBroken}
	worse := func(state string) int {
		for i, s := range rank {
			if s == state {
				return i
			}
		}
		return 0
	}
	if worse(r.State) > worse(v.State) && r.State != stateNever {
		v.State = r.State
	}
	switch r.State {
	case stateBroken:
		v.Warnings = append(v.Warnings, fmt.Sprintf("%s: broken: %s", r.Role, r.Reason))
		return
	case stateSoon, stateExpired:
	default:
		return
	}
	text := fmt.Sprintf("%s: %s: %s", r.Role, r.State, renewal(v.GUN, r.Role))
	if r.Elsewhere > 0 {
		text += fmt.Sprintf(" (%d of its %d signatures must come from elsewhere)", r.Elsewhere, r.Threshold)
	}
	v.Warnings = append(v.Warnings, text)
}

func roleStateOf(r trust.RoleStatus, record *trust.Record, attested map[string]attestation, state string) roleState {
	s := roleState{Role: r.Role, Version: r.Version, State: state, Threshold: r.Threshold, Paths: r.Paths, Keys: []keyState{}, Elsewhere: r.Threshold}
	if !r.Expires.IsZero() {
		s.Expires = &r.Expires
	}
	if r.Err != nil {
		s.State, s.Reason = stateBroken, r.Err.Error()
	}
	if r.Role != trust.RoleRoot && r.Role != trust.RoleSnapshot && r.Role != trust.RoleTimestamp {
		s.Targets = &r.Targets
	}
	for _, k := range r.Keys {
		one := keyState{k.Fingerprint, k.ID, k.Type, k.Signed, record.URI(k.Fingerprint), nil}
		if a, ok := attested[k.Fingerprint]; ok {
			one.Attested = &a
		}
		if one.URI != "" {
			s.Elsewhere = max(0, s.Elsewhere-1)
		}
		s.Keys = append(s.Keys, one)
	}
	return s
}

// expiryState says how a role's expiry stands.
func expiryState(expires, now time.Time, notice time.Duration) string {
	switch left := expires.Sub(now); {
	case expires.IsZero():
		return stateNever
	case left <= 0:
		return stateExpired
	case left < notice:
		return stateSoon
	}
	return stateOK
}

func printStatus(w io.Writer, v statusState) {
	fmt.Fprintln(w, "ROLE\tVERSION\tEXPIRES\tSTATE\tSIGNED BY\tKEY\tHELD AS\tTOKEN")
	for _, r := range v.Roles {
		printRole(w, r)
	}
	for i, text := range v.Warnings {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, printable(text))
	}
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
