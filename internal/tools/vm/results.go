package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// expectation is a test that must pass, or be skipped if there is a reason.
type expectation struct{ test, skip string }

var (
	suiteBegins = regexp.MustCompile(`^machine: suite (\S+) begins$`)
	suiteEnds   = regexp.MustCompile(`^machine: suite (\S+) ended (-?[0-9]+) after \S+$`)
	testEnds    = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): ([A-Z]\w*) \(`)
	subSkips    = regexp.MustCompile(`^ +--- SKIP: (\S+) \(`)
)

const done = "machine: done"

// judge reads what the machine wrote. Everything that was expected must be
// there, once, and nothing but success.
func judge(out []byte, expected map[string][]expectation) (string, error) {
	seen := map[string]map[string]string{}
	ended := map[string]string{}
	suite, finished := "", false
	var wrong []string
	for line := range strings.Lines(strings.ReplaceAll(string(out), "\r", "")) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == done:
			finished = true
		case suiteBegins.MatchString(line):
			suite = suiteBegins.FindStringSubmatch(line)[1]
			seen[suite] = map[string]string{}
		case suiteEnds.MatchString(line):
			m := suiteEnds.FindStringSubmatch(line)
			ended[m[1]], suite = m[2], ""
		case testEnds.MatchString(line) && suite != "":
			m := testEnds.FindStringSubmatch(line)
			seen[suite][m[2]] = m[1]
		case subSkips.MatchString(line):
			wrong = append(wrong, "skipped: "+subSkips.FindStringSubmatch(line)[1])
		}
	}
	if !finished {
		wrong = append(wrong, "the machine did not come to its end")
	}
	passed := 0
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		if ended[name] != "0" {
			wrong = append(wrong, fmt.Sprintf("suite %s ended with %q", name, ended[name]))
		}
		for _, e := range expected[name] {
			got := seen[name][e.test]
			if want := map[bool]string{true: "PASS", false: "SKIP"}[e.skip == ""]; got != want {
				wrong = append(wrong, fmt.Sprintf("%s of %s: %q, want %s %s", e.test, name, got, want, e.skip))
				continue
			}
			passed++
		}
	}
	if passed == 0 {
		wrong = append(wrong, "no test ran")
	}
	if len(wrong) > 0 {
		return "", fmt.Errorf("%d things are wrong:\n  %s", len(wrong), strings.Join(wrong, "\n  "))
	}
	return fmt.Sprintf("%d tests of %d suites", passed, len(expected)), nil
}
