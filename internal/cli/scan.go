package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
	"plimsoll/internal/match"
	"plimsoll/internal/ref"
)

// scanResult is what scan writes as JSON.
type scanResult struct {
	Image      string                  `json:"image"`
	Manifest   ref.Digest              `json:"manifest"`
	Platform   string                  `json:"platform"`
	Distro     inventory.Distro        `json:"distro"`
	AsOf       time.Time               `json:"asOf,omitzero"` // of the oldest advisories used
	Complete   bool                    `json:"complete"`      // everything was read, and advisories cover it
	Uncovered  string                  `json:"uncovered,omitempty"`
	Unspoken   int                     `json:"unspoken,omitempty"` // components of types that no advisories speak of
	Counts     map[string]int          `json:"counts"`             // findings by severity, and "exploited"
	Findings   []finding.Finding       `json:"findings"`
	Accounts   inventory.Accounts      `json:"accounts"` // of the files that can run
	Secrets    []inventory.FoundSecret `json:"secrets"`  // in any layer
	Unreadable []inventory.Unreadable  `json:"unreadable"`
}

func newScan(env *Env) *cobra.Command {
	var platform, failOn string
	var fresh bool
	cmd := &cobra.Command{
		Use:   "scan IMAGE",
		Short: "Say what is known to be wrong with what is in an image",
		Long: `Say what is known to be wrong with what is in an image: its components, from the
bytes of its layers, against the packs of advisories. A line with +N stands for
N more packages of the same source, which have the same hole.

Exit codes: 4 if bytes of the image are wrong, or a part of it is not covered by
advisories; 5 if there are findings at or above --fail-on. With --fail-on, parts
that could not be read are an error too (4). Findings of unknown severity count
only for --fail-on unknown, which counts all.`,
		Example: `  plimsoll scan registry.example.com/team/app:1.4
  plimsoll scan oci:./layout --fail-on high
  plimsoll scan docker:app:1.4 -o sarif > app.sarif
  plimsoll scan docker-archive:app.tar -o json | jq '.findings[].id'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			threshold, err := parseFailOn(failOn)
			if err != nil {
				return err
			}
			if err := env.knowsForm("table", "json", "sarif"); err != nil {
				return err
			}
			return env.scanImage(cmd.Context(), args[0], platform, fresh, threshold)
		},
	}
	cmd.Flags().StringVar(&failOn, "fail-on", "", "exit 5 if there are findings of this severity or worse: low, medium, high, critical, or unknown for any")
	cmd.Flags().StringVar(&platform, "platform", "", "platform of an image of several, such as linux/arm64 (default: this machine's)")
	cmd.Flags().BoolVar(&fresh, "no-cache", false, "read every layer again")
	return cmd
}

// parseFailOn returns the severity to fail on, nil if there is none.
func parseFailOn(s string) (*advisory.Severity, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // never fail
	}
	var threshold advisory.Severity
	if err := threshold.UnmarshalText([]byte(s)); err != nil || threshold == advisory.None {
		return nil, fault.Hint(fault.Errorf(fault.Usage, "--fail-on %q is not a severity", s), "low, medium, high, critical, or unknown for any finding")
	}
	return &threshold, nil
}

func (env *Env) scanImage(ctx context.Context, name, platform string, fresh bool, threshold *advisory.Severity) (err error) {
	packs, err := env.Settings.Advisories()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, packs.Close()) }()
	v, err := env.inventory(ctx, name, platform, fresh)
	if err != nil {
		return err
	}
	findings, asOf, uncovered := env.Settings.Matcher(packs).Match(ctx, v)
	if uncovered != nil && findings == nil {
		return uncovered
	}
	result := scanResult{
		Image: v.Image, Manifest: v.Manifest, Platform: v.Platform, Distro: v.Distro, AsOf: asOf, Complete: v.Complete() && uncovered == nil,
		Counts: counts(findings), Findings: findings, Accounts: v.Accounts, Secrets: v.Secrets,
		Unreadable: append([]inventory.Unreadable{}, v.Unreadable...),
	}
	for i := range v.Components {
		if c := &v.Components[i]; c.Relation != inventory.Links && match.Unspoken(c) {
			result.Unspoken++
		}
	}
	if uncovered != nil {
		result.Uncovered = uncovered.Error()
	}
	if err := env.printFindings(&result, v); err != nil {
		return err
	}
	return env.judge(v, uncovered, findings, threshold)
}

// printFindings writes the result in the form that was asked for.
func (env *Env) printFindings(r *scanResult, v *inventory.Inventory) error {
	if env.output != "sarif" {
		return env.print(r, func(w io.Writer) { env.findingsTable(w, r) })
	}
	b, err := sarif(r, v)
	if err != nil {
		return err
	}
	return env.writeJSON(b)
}

// judge returns the error that the exit code comes from: wrong bytes before
// missing knowledge before findings.
func (env *Env) judge(v *inventory.Inventory, uncovered error, findings []finding.Finding, threshold *advisory.Severity) error {
	if err := env.incomplete(v); err != nil {
		return err
	}
	if uncovered != nil {
		return uncovered
	}
	if threshold == nil {
		return nil
	}
	if n := len(v.Unreadable); n > 0 {
		return fault.Hint(fault.Errorf(fault.Untrusted, "%d %s could not be read, so nobody can say that nothing at or above %s is in there", n, parts(n), *threshold),
			"they are listed above as unreadable; without --fail-on they are a warning")
	}
	n := 0
	for i := range findings {
		if findings[i].Severity >= *threshold {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	what := "at or above " + threshold.String()
	if *threshold == advisory.Unknown {
		what = "of any severity"
	}
	plural := "s"
	if n == 1 {
		plural = ""
	}
	return &exitError{exitFindings, fault.Errorf(fault.Denied, "%d finding%s %s", n, plural, what)}
}

// counts counts findings by severity, and those that are being exploited.
func counts(findings []finding.Finding) map[string]int {
	n := map[string]int{"exploited": 0}
	for s := advisory.Unknown; s <= advisory.Critical; s++ {
		n[s.String()] = 0
	}
	for i := range findings {
		n[findings[i].Severity.String()]++
		if findings[i].Exploited {
			n["exploited"]++
		}
	}
	return n
}

// countsLine writes the counts, worst first. It is read alone, so it says if
// nobody looked at a part.
func countsLine(r *scanResult) string {
	line := countsOf(r)
	if n := len(r.Unreadable); n > 0 {
		line += fmt.Sprintf(" in what could be read; %d %s could not", n, parts(n))
	}
	if r.Uncovered != "" {
		line += "; advisories do not cover everything"
	}
	return line
}

func parts(n int) string {
	if n == 1 {
		return "part"
	}
	return "parts"
}

func countsOf(r *scanResult) string {
	if len(r.Findings) == 0 {
		return "no findings"
	}
	var bySeverity []string
	for s := advisory.Critical; ; s-- {
		if n := r.Counts[s.String()]; n > 0 {
			bySeverity = append(bySeverity, fmt.Sprintf("%d %s", n, s))
		}
		if s == advisory.Unknown {
			break
		}
	}
	line := findingsOf(len(r.Findings)) + ": " + strings.Join(bySeverity, ", ")
	if n := r.Counts["exploited"]; n > 0 {
		line += fmt.Sprintf("; %d known to be exploited", n)
	}
	return line
}
