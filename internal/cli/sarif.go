package cli

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"plimsoll/internal/advisory"
	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
)

// The parts of a SARIF 2.1.0 log that are written (sections 3.13 to 3.58).
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Automation  sarifAutomation   `json:"automationDetails"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	ColumnKind  string            `json:"columnKind"`
}

type sarifTool struct {
	Driver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	} `json:"driver"`
}

type sarifRule struct {
	ID         string         `json:"id"`
	Short      sarifText      `json:"shortDescription"`
	HelpURI    string         `json:"helpUri,omitempty"`
	Properties map[string]any `json:"properties"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifAutomation struct {
	ID string `json:"id"`
}

type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Properties   map[string]any    `json:"properties"`
}

type sarifLocation struct {
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	Message  *sarifText     `json:"message,omitempty"`
}

type sarifPhysical struct {
	Artifact struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
}

type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
	Kind string `json:"kind"`
}

const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// sarif returns the result of a scan as a SARIF log: a rule for each hole, a
// result for each component that has it, with a location for each place where
// that was seen. What was not looked at is a notification, and the run is then
// not successful. Equal input gives equal bytes: no time is in it.
func sarif(r *scanResult, v *inventory.Inventory) ([]byte, error) {
	run := sarifRun{
		Automation: sarifAutomation{"plimsoll/" + r.Image}, Results: []sarifResult{}, ColumnKind: "utf16CodeUnits",
		Invocations: []sarifInvocation{{Successful: r.Complete, Notifications: sarifNotes(r)}},
	}
	run.Tool.Driver.Name, run.Tool.Driver.Rules = "plimsoll", []sarifRule{}
	rules := map[string]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		at, known := rules[f.ID]
		if !known {
			at = len(run.Tool.Driver.Rules)
			rules[f.ID] = at
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(f))
		}
		run.Results = append(run.Results, sarifResultOf(f, at, v.PURL(&f.Component)))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(sarifLog{sarifSchema, "2.1.0", []sarifRun{run}}); err != nil {
		return nil, fmt.Errorf("write SARIF log: %w", err)
	}
	return b.Bytes(), nil
}

func sarifRuleOf(f *finding.Finding) sarifRule {
	rule := sarifRule{ID: f.ID, Short: sarifText{cmp.Or(f.Summary, f.ID)}, Properties: map[string]any{"tags": []string{"security", "vulnerability"}}}
	if u, err := url.Parse(f.URL); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		rule.HelpURI = u.String()
	}
	if f.Score > 0 {
		rule.Properties["security-severity"] = strconv.FormatFloat(f.Score, 'f', 1, 64) // as code hosts read it
	}
	return rule
}

func sarifResultOf(f *finding.Finding, rule int, purl string) sarifResult {
	c := &f.Component
	text := fmt.Sprintf("%s: %s %s has %s. %s", f.Severity, componentName(c), cmp.Or(c.Version, "of unknown version"), f.ID, f.Advice)
	if f.Exploited {
		text += " It is being exploited."
	}
	sum := sha256.Sum256([]byte(f.ID + "\x00" + purl))
	return sarifResult{
		RuleID: f.ID, RuleIndex: rule, Level: sarifLevel(f.Severity), Message: sarifText{text}, Locations: sarifLocations(c, purl),
		Fingerprints: map[string]string{"findingAndComponent/v1": hex.EncodeToString(sum[:])},
		Properties: map[string]any{
			"purl": purl, "severity": f.Severity.String(), "fixed": f.Fixed, "exploited": f.Exploited, "advisory": f.Advisory, "source": f.Source,
		},
	}
}

// sarifLevel returns what a severity comes to. That nobody has rated a hole does
// not make it harmless.
func sarifLevel(s advisory.Severity) string {
	switch s {
	case advisory.Critical, advisory.High:
		return "error"
	case advisory.Medium, advisory.Unknown:
		return "warning"
	case advisory.Low, advisory.None:
	}
	return "note"
}

// sarifLocations returns where the component was seen, the layer that brought it
// first.
func sarifLocations(c *inventory.Component, purl string) []sarifLocation {
	all := []sarifLocation{}
	for _, e := range c.Evidence {
		l := sarifLocation{
			Logical: []sarifLogical{{purl, "package"}},
			Message: &sarifText{fmt.Sprintf("layer %d %s, by %s, confidence %v", e.Index, e.Layer, e.Method, e.Confidence)},
		}
		l.Physical.Artifact.URI = pathURI(e.Path)
		all = append(all, l)
	}
	return all
}

// pathURI returns a path in the image as a relative reference (RFC 3986).
func pathURI(path string) string {
	u := url.URL{Path: path}
	return u.String()
}

// sarifNotes says what was not looked at.
func sarifNotes(r *scanResult) []sarifNotification {
	var notes []sarifNotification
	if r.Uncovered != "" {
		notes = append(notes, sarifNotification{Level: "error", Message: sarifText{r.Uncovered}})
	}
	for _, u := range r.Unreadable {
		n := sarifNotification{Level: "error", Message: sarifText{fmt.Sprintf("layer %d %s could not be read: %s", u.Index, u.Layer, u.Reason)}}
		if u.Path != "" {
			l := sarifLocation{}
			l.Physical.Artifact.URI = pathURI(u.Path)
			n.Locations = []sarifLocation{l}
		}
		notes = append(notes, n)
	}
	return notes
}
