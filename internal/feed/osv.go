package feed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"plimsoll/internal/advisory"
)

// parseOSV reads one OSV record in JSON.
func parseOSV(body []byte) ([]*advisory.Record, []error) {
	r, err := advisory.Parse(body)
	if err != nil {
		return nil, []error{err}
	}
	return []*advisory.Record{r}, nil
}

// parseOSVYAML reads one OSV record in YAML.
func parseOSVYAML(body []byte) ([]*advisory.Record, []error) {
	b, err := yamlToJSON(body)
	if err != nil {
		return nil, []error{err}
	}
	return parseOSV(b)
}

// parseOSVSeverity reads OSV records, one or a list, for nothing but how bad
// they say that CVEs are.
func parseOSVSeverity(body []byte) (records []*advisory.Record, errs []error) {
	return eachOf(body, func(one []byte) (*advisory.Record, error) {
		r, err := advisory.Parse(one)
		if err != nil || !r.Withdrawn.IsZero() {
			return nil, err
		}
		rating := &advisory.Record{ID: r.ID, Aliases: r.Aliases, Summary: r.Summary, Details: r.Details, Severity: r.Severity}
		for _, a := range r.Affected {
			rating.Severity = append(rating.Severity, a.Severity...)
		}
		if len(rating.Severity) == 0 {
			return nil, nil //nolint:nilnil // nobody rated it
		}
		for _, name := range r.Names() {
			if strings.HasPrefix(name, "CVE-") {
				rating.Affected = append(rating.Affected, advisory.Affected{Package: advisory.Package{Ecosystem: advisory.Severities, Name: name}})
			}
		}
		return rating, nil
	})
}

// eachOf parses a JSON document, or each element of a JSON array of documents.
// A nil record stands for a document that speaks of no hole.
func eachOf(body []byte, parse func([]byte) (*advisory.Record, error)) (records []*advisory.Record, errs []error) {
	list := []json.RawMessage{body}
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, []error{err}
		}
	}
	for _, one := range list {
		r, err := parse(one)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		records = append(records, r)
	}
	return records, errs
}

// yamlToJSON converts body; see [decodeYAML] about panics.
func yamlToJSON(body []byte) (b []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("not YAML that can be parsed: %v", r)
		}
	}()
	return yaml.YAMLToJSON(body)
}
