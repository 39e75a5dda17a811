package policy_test

import (
	"context"
	"fmt"
	"time"

	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
	"plimsoll/internal/policy"
)

func Example() {
	d, err := policy.Parse("policy.yaml", []byte(`
apiVersion: plimsoll/v1
kind: Policy
environments:
  production:
    scanned: {advisoriesWithin: 48h}
    rules:
      - id: known-exploited
        each: finding
        deny: finding.exploited
        messageExpression: '"%s is being exploited in the wild".format([finding.id])'
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	zlib := inventory.Component{Type: inventory.Deb, Namespace: "debian", Name: "zlib1g", Version: "1.2.13"}
	for _, r := range d.Judge(context.Background(), now, "production", &policy.Facts{
		Name:      "registry.example.com/app:1",
		GUN:       "registry.example.com/app",
		Inventory: &inventory.Inventory{Components: []inventory.Component{zlib}},
		Findings:  []finding.Finding{{ID: "CVE-2026-1", Component: zlib, Exploited: true}},
		AsOf:      now.Add(-time.Hour),
	}) {
		fmt.Printf("%s: %s: %s\n", r.Rule, r.Outcome, r.Message)
	}
	// Output:
	// scanned: allowed: all 0 layers were read, 1 components, 1 findings, advisories of 2026-11-23T11:00:00Z
	// known-exploited: denied: CVE-2026-1 is being exploited in the wild
}
