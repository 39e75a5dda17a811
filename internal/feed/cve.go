package feed

import (
	"encoding/json"
	"fmt"

	"plimsoll/internal/advisory"
)

// cveRecord is the part of a CVE record (CVE JSON 5) that says how bad it is:
// the CVSS vectors of the numbering authority and of those who add to it, such
// as CISA. Which versions are affected is left to ecosystems, which know.
type cveRecord struct {
	Metadata struct {
		ID    string `json:"cveId"`
		State string `json:"state"`
	} `json:"cveMetadata"`
	Containers struct {
		CNA cveContainer   `json:"cna"`
		ADP []cveContainer `json:"adp"`
	} `json:"containers"`
}

type cveContainer struct {
	Title        string `json:"title"`
	Descriptions []struct {
		Lang  string `json:"lang"`
		Value string `json:"value"`
	} `json:"descriptions"`
	Metrics []struct {
		V40 *cveMetric `json:"cvssV4_0"`
		V31 *cveMetric `json:"cvssV3_1"`
		V30 *cveMetric `json:"cvssV3_0"`
		V2  *cveMetric `json:"cvssV2_0"`
	} `json:"metrics"`
}

type cveMetric struct {
	Vector string `json:"vectorString"`
}

// parseCVE reads one record. One that was rejected or that nobody has rated
// gives no record.
func parseCVE(body []byte) ([]*advisory.Record, []error) {
	var doc cveRecord
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, []error{err}
	}
	if doc.Metadata.ID == "" {
		return nil, []error{fmt.Errorf("no cveId")}
	}
	r := &advisory.Record{ID: doc.Metadata.ID, Severity: doc.Containers.CNA.vectors()}
	for _, c := range doc.Containers.ADP {
		r.Severity = append(r.Severity, c.vectors()...)
	}
	if doc.Metadata.State == "REJECTED" || len(r.Severity) == 0 {
		return []*advisory.Record{nil}, nil
	}
	r.Summary = doc.Containers.CNA.summary()
	r.Affected = []advisory.Affected{{Package: advisory.Package{Ecosystem: advisory.Severities, Name: r.ID}}}
	return []*advisory.Record{r}, nil
}

func (c *cveContainer) vectors() (out []advisory.Vector) {
	for _, m := range c.Metrics {
		for _, v := range []struct {
			kind   string
			metric *cveMetric
		}{{"CVSS_V4", m.V40}, {"CVSS_V3", m.V31}, {"CVSS_V3", m.V30}, {"CVSS_V2", m.V2}} {
			if v.metric != nil {
				out = append(out, advisory.Vector{Type: v.kind, Score: v.metric.Vector})
			}
		}
	}
	return out
}

func (c *cveContainer) summary() string {
	if c.Title != "" {
		return c.Title
	}
	for _, d := range c.Descriptions {
		if len(d.Lang) >= 2 && d.Lang[:2] == "en" {
			return d.Value
		}
	}
	return ""
}
