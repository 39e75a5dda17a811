package cli

import (
	"maps"
	"net/url"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/trust/sigstore"
)

// predicateTypes are the names that people use for types of predicates, those of
// cosign where it has one. Each stands for the version that is written today.
var predicateTypes = map[string]string{
	"cyclonedx":      "https://cyclonedx.org/bom",
	"openvex":        "https://openvex.dev/ns",
	"slsaprovenance": "https://slsa.dev/provenance/v1",
	"spdx":           "https://spdx.dev/Document",
	"vuln":           "https://cosign.sigstore.dev/attestation/vuln/v1",
}

func predicateNames() []string { return slices.Sorted(maps.Keys(predicateTypes)) }

// parsePredicateType returns the URI that a person means.
func parsePredicateType(s string) (string, error) {
	if uri, ok := predicateTypes[s]; ok {
		return uri, nil
	}
	if u, err := url.Parse(s); err != nil || u.Scheme == "" || u.Host == "" {
		err := fault.Errorf(fault.Usage, "%q is no type of statement", s)
		return "", fault.Hint(err, "known are %s; any other is written as a URI, https://example.com/reviewed/v1", listed(predicateNames()))
	}
	if s == sigstore.SignPredicate {
		err := fault.Errorf(fault.Usage, "%q is the type of a signature, not of a statement", s)
		return "", fault.Hint(err, "plimsoll sign makes signatures, and plimsoll verify without --attestation checks them")
	}
	return s, nil
}

// predicateMarks are fields that a predicate of a type has: with another document in its
// place the statement would be false.
var predicateMarks = map[string]string{
	"https://cyclonedx.org/bom":                       "bomFormat",
	"https://openvex.dev/ns":                          "statements",
	"https://slsa.dev/provenance/v1":                  "buildDefinition",
	"https://spdx.dev/Document":                       "spdxVersion",
	"https://cosign.sigstore.dev/attestation/vuln/v1": "scanner",
}
