package policy_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"plimsoll/internal/finding"
	"plimsoll/internal/policy"
)

func BenchmarkPolicy(b *testing.B) {
	d := load(b)
	for _, n := range []int{10, 500} {
		b.Run(fmt.Sprintf("%d findings", n), func(b *testing.B) {
			f := facts()
			for i := range n {
				f.Findings = append(f.Findings, found(fmt.Sprintf("CVE-2026-%d", i), func(f *finding.Finding) { f.FixedSince = now.Add(-time.Hour) }))
			}
			b.ReportAllocs()
			for b.Loop() {
				d.Judge(b.Context(), now, "production", f)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	text, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.Parse("policy.yaml", text); err != nil {
			b.Fatal(err)
		}
	}
}
