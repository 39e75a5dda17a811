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

// parseCVE reads one record or a list of them. One that was rejected or that
// nobody has rated gives no record.
func parseCVE(body []byte) ([]*advisory.Record, []error) {
	return eachOf(body, func(one []byte) (*advisory.Record, error) {
		var doc cveRecord
		if err := json.Unmarshal(one, &doc); err != nil {
			return nil, err
		}
		if doc.Metadata.ID == "" {
			return nil, fmt.Errorf("no cveId")
		}
		return doc.record(), nil
	})
}

func (doc *cveRecord) record() *advisory.Record {
	r := &advisory.Record{ID: doc.Metadata.ID, Severity: doc.Containers.CNA.vectors()}
	for _, c := range doc.Containers.ADP {
		r.Severity = append(r.Severity, c.vectors()...)
	}
	if doc.Metadata.State == "REJECTED" || len(r.Severity) == 0 {
		return nil
	}
	r.Summary = doc.Containers.CNA.summary()
	r.Affected = []advisory.Affected{{Package: advisory.Package{Ecosystem: advisory.Severities, Name: r.ID}}}
	return r
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
