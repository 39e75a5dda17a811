package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"deps.dev/util/semver"

	"plimsoll/internal/advisory"
)

// nodeSecurity is a record of nodejs/security-wg (vuln/npm).
type nodeSecurity struct {
	ID         int      `json:"id"`
	Title      string   `json:"title"`
	Overview   string   `json:"overview"`
	Published  string   `json:"publish_date"`
	Module     string   `json:"module_name"`
	CVEs       []string `json:"cves"`
	Vulnerable string   `json:"vulnerable_versions"`
	Patched    string   `json:"patched_versions"`
	Vector     any      `json:"cvss_vector"`
	References any      `json:"references"`
}

// parseNodeSecurity reads one record.
func parseNodeSecurity(body []byte) ([]*advisory.Record, []error) {
	var doc nodeSecurity
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, []error{err}
	}
	spans, err := spansOf(semver.NPM, doc.Vulnerable)
	if err != nil {
		return nil, []error{err}
	}
	if doc.Module == "" || len(spans) == 0 {
		return nil, []error{fmt.Errorf("no package, or no vulnerable version")}
	}
	r := &advisory.Record{ID: nodeSecurityID(strconv.Itoa(doc.ID)), Aliases: doc.CVEs, Summary: doc.Title, Details: doc.Overview}
	r.Affected = []advisory.Affected{{
		Package: advisory.Package{Ecosystem: advisory.NPM, Name: doc.Module},
		Ranges:  []advisory.Range{{Type: advisory.Semver, Events: events(spans)}},
	}}
	r.Database.URL = fmt.Sprintf("https://github.com/nodejs/security-wg/blob/main/vuln/npm/%d.json", doc.ID)
	if doc.Published != "" {
		if r.Published, err = parseDate(doc.Published); err != nil {
			return nil, []error{err}
		}
	}
	if v, ok := doc.Vector.(string); ok && strings.HasPrefix(v, "CVSS:3") {
		r.Severity = []advisory.Vector{{Type: "CVSS_V3", Score: v}}
	}
	return []*advisory.Record{r}, nil
}

// nodeSecurityID names a record of the working group, which has only numbers.
func nodeSecurityID(number string) string { return "NSWG-ECO-" + number }

// retire is retire.js's npmrepository.json: package → what is known.
type retire map[string]struct {
	Vulnerabilities []retireEntry `json:"vulnerabilities"`
}

type retireEntry struct {
	AtOrAbove   string   `json:"atOrAbove"`
	Below       string   `json:"below"`
	Severity    string   `json:"severity"`
	Info        []string `json:"info"`
	Identifiers struct {
		CVE      []string `json:"CVE"`
		GitHubID string   `json:"githubID"`
		Summary  string   `json:"summary"`
	} `json:"identifiers"`
}

var (
	ghsa    = regexp.MustCompile(`\bGHSA(-[0-9a-z]{4}){3}\b`)
	nodeURL = regexp.MustCompile(`\b(?:nodesecurity\.io/advisories|npmjs\.com/advisories)/(\d+)\b`)
)

// parseRetire reads the database. Entries of one package that name the same
// hole are one record with several ranges.
func parseRetire(body []byte) (records []*advisory.Record, errs []error) {
	var doc retire
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, []error{err}
	}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		byID := map[string]*advisory.Record{}
		for _, e := range doc[name].Vulnerabilities {
			r, err := e.record(name)
			if err != nil {
				errs = append(errs, fmt.Errorf("package %q: %w", name, err))
				continue
			}
			if same := byID[r.ID]; same != nil {
				same.Affected = append(same.Affected, r.Affected...)
				continue
			}
			byID[r.ID] = r
			records = append(records, r)
		}
	}
	return records, errs
}

func (e *retireEntry) record(name string) (*advisory.Record, error) {
	if e.Below == "" {
		return nil, fmt.Errorf("an entry without a version that it ends below")
	}
	sp := span{from: e.AtOrAbove, to: e.Below}
	r := &advisory.Record{Summary: e.Identifiers.Summary}
	r.Affected = []advisory.Affected{{
		Package: advisory.Package{Ecosystem: advisory.NPM, Name: name},
		Ranges:  []advisory.Range{{Type: advisory.Semver, Events: events([]span{sp})}},
	}}
	r.Database.Severity = e.Severity
	if len(e.Info) > 0 {
		r.Database.URL = e.Info[0]
	}
	names := e.names()
	if len(names) == 0 {
		names = []string{retireID(name, e)}
	}
	r.ID, r.Aliases = names[0], names[1:]
	return r, nil
}

// names returns the names that the entry gives the hole. A page about several
// holes names none of them.
func (e *retireEntry) names() []string {
	names := slices.Clone(e.Identifiers.CVE)
	info := strings.Join(e.Info, " ")
	ids := slices.Compact(slices.Sorted(slices.Values(ghsa.FindAllString(info+" "+e.Identifiers.GitHubID, -1))))
	if len(ids) == 1 {
		names = append(names, ids[0])
	}
	if m := nodeURL.FindAllStringSubmatch(info, -1); len(m) == 1 {
		names = append(names, nodeSecurityID(m[0][1]))
	}
	return names
}

// retireID makes a name for a hole that has none, from what is said about it.
func retireID(name string, e *retireEntry) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", name, e.AtOrAbove, e.Below, e.Identifiers.Summary))
	return "RETIREJS-" + hex.EncodeToString(h[:5])
}
