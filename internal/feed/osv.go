package feed

import (
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
	b, err := yaml.YAMLToJSON(body)
	if err != nil {
		return nil, []error{err}
	}
	return parseOSV(b)
}
