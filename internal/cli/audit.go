package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/audit"
	"plimsoll/internal/fault"
	"plimsoll/internal/verdict"
)

// maxCheckpoint bounds the files that verify is given, in bytes.
const maxCheckpoint = 64 << 10

func newAudit(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read the log of decisions, prove what is in it, verify that nobody changed it",
		Example: "  plimsoll audit log --outcome denied\n" +
			"  plimsoll audit verify --since checkpoint.old",
	}
	cmd.AddCommand(newAuditLog(env), newAuditProve(env), newAuditVerify(env))
	return cmd
}

// auditSource is which log a command reads.
type auditSource struct{ dir, key string }

func (s *auditSource) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.dir, "log", "", "folder of the log or of a copy (default: audit in the folder of state)")
	cmd.Flags().StringVar(&s.key, "key", "", "verifier key that must have signed the checkpoint, or a file with it (default: key.pub of the log)")
}

// open opens the log. A key that is no key is the name of a file.
func (s *auditSource) open(ctx context.Context, env *Env) (*audit.Reader, error) {
	dir, key := s.dir, s.key
	if dir == "" {
		dir = env.Settings.AuditDir()
	}
	if _, err := audit.ParseKey(key); key != "" && err != nil {
		b, err := readShort(key)
		if err != nil {
			return nil, err
		}
		key = string(b)
	}
	return audit.OpenReader(ctx, dir, key)
}

// readShort returns the content of a file that a person named.
func readShort(path string) ([]byte, error) {
	f, err := os.Open(path) // #nosec G304 -- the person's own file
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCheckpoint))
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "read %q: %w", path, err)
	}
	return b, nil
}

// filter says which events audit log shows.
type filter struct {
	index   int64
	time    time.Time
	outcome string
}

func newFilter(since, outcome string) (filter, error) {
	f := filter{outcome: outcome}
	if outcome != "" && outcome != string(verdict.Allowed) && outcome != string(verdict.Denied) {
		return f, fault.Errorf(fault.Usage, "--outcome is %s or %s, not %q", verdict.Allowed, verdict.Denied, outcome)
	}
	if since == "" {
		return f, nil
	}
	var err error
	if f.index, err = strconv.ParseInt(since, 10, 64); err == nil {
		return f, nil
	}
	f.index = 0
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if f.time, err = time.Parse(form, since); err == nil {
			return f, nil
		}
	}
	return f, fault.Errorf(fault.Usage, "--since is an index, a time such as 2026-11-23T12:00:00Z or a day, not %q", since)
}

func (f filter) takes(e *audit.Event) bool {
	if e.Time.Before(f.time) {
		return false
	}
	return f.outcome == "" || e.Decision != nil && string(e.Decision.Outcome) == f.outcome
}

func newAuditLog(env *Env) *cobra.Command {
	var source auditSource
	var since, outcome string
	cmd := &cobra.Command{
		Use:     "log",
		Short:   "Show the decisions, oldest first",
		Long:    "Show the decisions, oldest first. With -o json each event is one line, as it stands in the log.\nWhat is shown was not checked against the tree: see plimsoll audit verify.",
		Example: "  plimsoll audit log --since 2026-11-01 --outcome denied\n  plimsoll audit log --since 1200 -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := env.knowsForm("table", "json"); err != nil {
				return err
			}
			f, err := newFilter(since, outcome)
			if err != nil {
				return err
			}
			return env.auditLog(cmd.Context(), source, f)
		},
	}
	source.flags(cmd)
	cmd.Flags().StringVar(&since, "since", "", "first index, or earliest time, to show")
	cmd.Flags().StringVar(&outcome, "outcome", "", "show only what was allowed or denied")
	return cmd
}

func (env *Env) auditLog(ctx context.Context, source auditSource, f filter) (err error) {
	r, err := source.open(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if env.output == "json" {
		enc := json.NewEncoder(env.Out)
		enc.SetEscapeHTML(false)
		return eachEvent(ctx, r, f, func(e *audit.Event) error { return enc.Encode(e) })
	}
	var failed error
	err = env.print(nil, func(w io.Writer) {
		fmt.Fprintln(w, "INDEX\tTIME\tDOOR\tIMAGE\tTEAM\tENVIRONMENT\tOUTCOME\tREASON")
		failed = eachEvent(ctx, r, f, func(e *audit.Event) error { eventRow(w, e); return nil })
	})
	return errors.Join(err, failed)
}

func eachEvent(ctx context.Context, r *audit.Reader, f filter, show func(*audit.Event) error) error {
	for e, err := range r.Events(f.index) {
		if err != nil {
			return fault.Hint(err, "plimsoll audit verify")
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !f.takes(e) {
			continue
		}
		if err := show(e); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
	}
	return nil
}

func eventRow(w io.Writer, e *audit.Event) {
	at := e.Time.UTC().Format(time.RFC3339)
	switch d := e.Decision; {
	case d != nil:
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Index, at, oneLine(d.Door), oneLine(d.Image), oneLine(d.Team), oneLine(d.Environment), oneLine(string(d.Outcome)), firstDenial(d))
	case e.Cut != nil:
		fmt.Fprintf(w, "%d\t%s\t\t\t\t\t\t%d bytes of an unfinished write were removed\n", e.Index, at, e.Cut.Bytes)
	default:
		fmt.Fprintf(w, "%d\t%s\t\t\t\t\t\t%s\n", e.Index, at, oneLine(string(e.Kind)))
	}
}

func firstDenial(d *verdict.Decision) string {
	for _, r := range d.Reasons {
		if r.Outcome == verdict.Denied {
			return oneLine(r.Rule + ": " + r.Message)
		}
	}
	return ""
}

func newAuditProve(env *Env) *cobra.Command {
	var source auditSource
	cmd := &cobra.Command{
		Use:   "prove INDEX",
		Short: "Prove that the log holds an event",
		Long: "Prove that the log holds an event: its bytes, the hashes that lead from it to the root of the tree (RFC 6962),\n" +
			"and the signed checkpoint that names the root. The proof is JSON.",
		Example: "  plimsoll audit prove 17 > proof.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := env.checkOutput(); err != nil {
				return err
			}
			index, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return fault.Errorf(fault.Usage, "%q is not the index of an event", args[0])
			}
			return env.auditProve(cmd.Context(), source, index)
		},
	}
	source.flags(cmd)
	return cmd
}

func (env *Env) auditProve(ctx context.Context, source auditSource, index int64) error {
	proof, err := source.prove(ctx, env, index)
	if fault.Is(err, fault.Conflict) && source.dir == "" { // promised and not yet published
		if err := env.publishAudit(ctx); err != nil {
			return err
		}
		proof, err = source.prove(ctx, env, index)
	}
	if err != nil {
		return err
	}
	enc := json.NewEncoder(env.Out)
	enc.SetEscapeHTML(false) // the event's bytes are what was hashed
	if err := enc.Encode(proof); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

func (s *auditSource) prove(ctx context.Context, env *Env, index int64) (_ *audit.Proof, err error) {
	r, err := s.open(ctx, env)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return r.Prove(index)
}

// publishAudit moves under a checkpoint what a writer that died had promised.
func (env *Env) publishAudit(ctx context.Context) error {
	l, err := env.Settings.AuditLog(ctx)
	if err != nil {
		return err
	}
	return l.Close(ctx)
}

func newAuditVerify(env *Env) *cobra.Command {
	var source auditSource
	var since string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify that nobody changed the log",
		Long: "Verify that nobody changed the log: the tree is computed again from every event and compared with the tiles and\n" +
			"with the signed checkpoint. Whoever holds the log's key could sign another history: against that, copy the file\n" +
			"\"checkpoint\" from the log's folder to where they cannot reach, and give it with --since.\n\n" +
			"Exit code 4 if anything differs.",
		Example: "  plimsoll audit verify\n  plimsoll audit verify --log /mnt/copy/audit --key key.pub --since checkpoint.old",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.auditVerify(cmd.Context(), source, since)
		},
	}
	source.flags(cmd)
	cmd.Flags().StringVar(&since, "since", "", "file of an older checkpoint that the log must still contain")
	return cmd
}

func (env *Env) auditVerify(ctx context.Context, source auditSource, since string) (err error) {
	if err := env.knowsForm("table", "json"); err != nil {
		return err
	}
	var old []byte
	if since != "" {
		if old, err = readShort(since); err != nil {
			return err
		}
		if len(old) == 0 {
			return fault.Errorf(fault.Untrusted, "the older checkpoint %q is empty", since)
		}
	}
	r, err := source.open(ctx, env)
	if since != "" && fault.Is(err, fault.NotFound) {
		return fault.As(fault.Untrusted, err) // it was there when the checkpoint was copied
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	p := env.startProgress("verify the audit log")
	report, err := r.Verify(ctx, old)
	p.finish()
	if err != nil {
		return err
	}
	return env.print(report, func(w io.Writer) {
		fmt.Fprintf(w, "log:\t%s\nevents:\t%d\nroot:\t%s\n", oneLine(report.Log), report.Size, report.Root)
		if report.Pending > 0 {
			fmt.Fprintf(w, "pending:\t%d promised and not yet under the checkpoint\n", report.Pending)
		}
		if report.Since != nil {
			fmt.Fprintf(w, "since:\tthe first %d events are those of the older checkpoint\n", *report.Since)
		}
		fmt.Fprintln(w, "result:\twhole: every event is the one that was recorded under the signed checkpoint")
		if report.Since == nil {
			fmt.Fprintln(w, "\twhoever holds the log's key could sign another history: only --since an older checkpoint shows that")
		}
	})
}
