package feed

import (
	"encoding/json"
	"fmt"

	"plimsoll/internal/advisory"
)

// kev is CISA's catalogue of known exploited vulnerabilities.
type kev struct {
	CatalogVersion  string `json:"catalogVersion"`
	Vulnerabilities []struct {
		ID    string `json:"cveID"`
		Name  string `json:"vulnerabilityName"`
		Added string `json:"dateAdded"`
	} `json:"vulnerabilities"`
}

// parseKEV reads the catalogue. Published of a record is when it was listed.
func parseKEV(body []byte) (records []*advisory.Record, errs []error) {
	var doc kev
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, []error{err}
	}
	if doc.CatalogVersion == "" {
		return nil, []error{fmt.Errorf("no catalogVersion: not the catalogue")}
	}
	for _, v := range doc.Vulnerabilities {
		added, err := parseDate(v.Added)
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", v.ID, err))
			continue
		}
		records = append(records, &advisory.Record{
			ID: v.ID, Summary: v.Name, Published: added,
			Affected: []advisory.Affected{{Package: advisory.Package{Ecosystem: advisory.Exploited, Name: v.ID}}},
		})
	}
	return records, errs
}
