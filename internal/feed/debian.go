package feed

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
)

// codenames are Debian's releases. Advisories of unstable are left out: no
// image is of a release that does not exist.
var codenames = map[string]string{
	"jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14", "duke": "15",
	"sid": "", "experimental": "",
}

// tracker is the security tracker's data/json: source package → CVE → what is
// known.
type tracker map[string]map[string]struct {
	Description string
	Releases    map[string]trackerState
}

// trackerState is what is known about one release.
type trackerState struct {
	Status       string // "resolved", "open", "undetermined"
	FixedVersion string `json:"fixed_version"` // "0": was never affected
	Urgency      string // "unimportant", "low", … "not yet assigned", "end-of-life"; "**" after it: guessed
	NoDSA        string `json:"nodsa"` // why there is no advisory, with its reason in nodsa_reason
	NoDSAReason  string `json:"nodsa_reason"`
}

// parseTracker reads the tracker's database.
func parseTracker(body []byte, dates fixDates) (records []*advisory.Record, errs []error) {
	var t tracker
	if err := json.Unmarshal(body, &t); err != nil {
		return nil, []error{err}
	}
	for _, src := range slices.Sorted(maps.Keys(t)) {
		for _, cve := range slices.Sorted(maps.Keys(t[src])) {
			entry := t[src][cve]
			for _, codename := range slices.Sorted(maps.Keys(entry.Releases)) {
				r, err := entry.Releases[codename].record(src, cve, codename, dates)
				if err != nil {
					errs = append(errs, fmt.Errorf("%s of %q in %s: %w", cve, src, codename, err))
					continue
				}
				if r != nil {
					r.Summary = entry.Description
				}
				records = append(records, r)
			}
		}
	}
	return records, errs
}

// record returns what the state says as a record; nil if the release is not
// affected.
func (s trackerState) record(src, cve, codename string, dates fixDates) (*advisory.Record, error) {
	number, known := codenames[codename]
	switch {
	case !known:
		return nil, fmt.Errorf("unknown release")
	case number == "":
		return nil, nil
	}
	events := []advisory.Event{{Introduced: "0"}}
	switch s.Status {
	case "resolved":
		if s.FixedVersion == "0" {
			return nil, nil
		}
		if s.FixedVersion == "" {
			return nil, fmt.Errorf("resolved, but without a fixed version")
		}
		events = append(events, advisory.Event{Fixed: s.FixedVersion})
	case "open", "undetermined":
	default:
		return nil, fmt.Errorf("unknown status %q", s.Status)
	}
	a := advisory.Affected{
		Package: advisory.Package{Ecosystem: advisory.Ecosystem("Debian:" + number), Name: src},
		Ranges:  []advisory.Range{{Type: advisory.ByEcosystem, Events: events}},
	}
	if on, ok := dates[fixKey{src, s.FixedVersion, cve}]; ok {
		a.FixedOn = map[string]time.Time{s.FixedVersion: on}
	}
	return &advisory.Record{
		ID:       cve,
		Affected: []advisory.Affected{a},
		Database: advisory.Specific{Severity: s.severity(), Note: s.note(), URL: "https://security-tracker.debian.org/tracker/" + cve},
	}, nil
}

// severity is what Debian's security team judged, "" if it did not.
func (s trackerState) severity() string {
	switch urgency := strings.TrimRight(s.Urgency, "*"); urgency {
	case "unimportant", "low", "medium", "high":
		return urgency
	}
	return ""
}

// note says why there is no fix.
func (s trackerState) note() string {
	switch {
	case s.Status == "resolved":
		return ""
	case s.Status == "undetermined":
		return "Debian has not determined yet whether this release is affected"
	case s.Urgency == "unimportant":
		return "Debian judges it unimportant (no security impact, or not in the binary packages)"
	case s.Urgency == "end-of-life":
		return "Debian no longer supports this package in this release"
	case s.NoDSAReason == "ignored":
		return "Debian will not fix it in this release"
	case s.NoDSAReason == "postponed":
		return "Debian has postponed the fix"
	case s.NoDSA != "" || s.NoDSAReason != "":
		return "Debian judges it minor and plans no advisory of its own"
	}
	return ""
}

// fixKey names a fix, and fixDates says when each was made.
type fixKey struct{ source, version, cve string }

type fixDates map[fixKey]time.Time

// maxDates bounds a file of dates in bytes.
const maxDates = 64 << 20

func (s *source) fixDates(root *os.Root) (fixDates, error) {
	if s.FixDates == "" {
		return nil, nil
	}
	f, err := root.Open(s.FixDates)
	if err != nil {
		return nil, fmt.Errorf("open dates of fixes: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDates+1))
	if err != nil {
		return nil, fmt.Errorf("read dates of fixes: %w", err)
	}
	dates, err := parseFixDates(b)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "%q: %w", s.FixDates, err)
	}
	return dates, nil
}

// parseFixDates reads lines of source, fixed version, CVE, distribution and the
// date of the changelog's entry (RFC 5322), separated by tabs, under a line of
// headings.
func parseFixDates(b []byte) (fixDates, error) {
	if len(b) > maxDates {
		return nil, fmt.Errorf("larger than %d bytes", maxDates)
	}
	dates := fixDates{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Split(lines.Text(), "\t")
		if n == 1 || len(fields) == 1 && fields[0] == "" {
			continue
		}
		if len(fields) != 5 {
			return nil, fmt.Errorf("line %d has %d fields, not 5", n, len(fields))
		}
		on, err := time.Parse("Mon, _2 Jan 2006 15:04:05 -0700", fields[4])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		dates[fixKey{fields[0], fields[1], fields[2]}] = on.UTC()
	}
	return dates, lines.Err()
}
