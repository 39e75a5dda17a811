package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A decision is what the story reads of a decision's JSON.
type decision struct {
	Outcome string `json:"outcome"`
	Reasons []struct {
		Rule     string   `json:"rule"`
		Outcome  string   `json:"outcome"`
		Class    string   `json:"class"`
		Message  string   `json:"message"`
		Evidence []string `json:"evidence"`
	} `json:"reasons"`
}

// denials returns the rules that deny, with what they say.
func (d *decision) denials() map[string]string {
	all := map[string]string{}
	for _, r := range d.Reasons {
		if r.Outcome == "denied" {
			all[r.Rule] += r.Message + " " + strings.Join(r.Evidence, " ")
		}
	}
	return all
}

// A question is put to check, with the answer that the story expects.
type question struct {
	about string
	image string
	code  int
	rule  string // that must deny; "" if allowed
	says  string // part of what it says
}

// checks asks the gate about every image.
func (s *story) checks(ctx context.Context) error {
	s.stage.prose("The policy: signed under the root above; nothing exploited; nothing serious that has a fix.")
	s.stage.command("cat data/policy.yaml")
	s.stage.limit = tableLines
	text, err := os.ReadFile(s.path("data/policy.yaml"))
	if err != nil {
		return fmt.Errorf("read policy: %w", err)
	}
	s.stage.output(string(text))
	s.stage.limit = usualLines
	if _, err := s.plimsoll(ctx, allowed, "policy", "lint", "data/policy.yaml"); err != nil {
		return err
	}
	if err := s.alter(); err != nil {
		return err
	}
	for _, q := range []question{
		{"harbour:new is signed and in order.", s.image("new"), allowed, "", ""},
		{"harbour:old is signed, but its holes are known and fixed.", s.image("old"), denied, "known-exploited", "exploited"},
		{"Nobody signed this one.", s.image("unsigned"), untrusted, "signed", ""},
		{"This one was signed, and then its layer was altered in the registry.", s.image("altered"), untrusted, "scanned", "sha256:"},
		{"This one is signed by a key that our root never named.", s.stranger() + ":new", untrusted, "signed", ""},
	} {
		if err := s.ask(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// ask shows the question and the answer, and checks the answer.
func (s *story) ask(ctx context.Context, q question) error {
	s.stage.prose("%s", q.about)
	args := []string{"check", q.image, "--environment", "production"}
	s.asked++
	if _, err := s.plimsoll(ctx, q.code, args...); err != nil {
		return err
	}
	d, err := s.lastDecision(ctx)
	if err != nil {
		return err
	}
	denials := d.denials()
	switch {
	case q.code == allowed && (d.Outcome != "allowed" || len(denials) > 0):
		return fmt.Errorf("%s is not allowed: %v", q.image, denials)
	case q.code != allowed && d.Outcome != "denied":
		return fmt.Errorf("%s is not denied", q.image)
	}
	if _, ok := denials[q.rule]; q.rule != "" && !ok {
		return fmt.Errorf("rule %q did not deny %s, but %v", q.rule, q.image, denials)
	}
	if !strings.Contains(fmt.Sprint(denials), q.says) {
		return fmt.Errorf("the denial of %s does not speak of %q: %v", q.image, q.says, denials)
	}
	s.stage.fact("%s, exit code %d", d.Outcome, q.code)
	return nil
}

// lastDecision returns what the audit log says about the last answer. It fails
// unless every answer so far stands there, each once.
func (s *story) lastDecision(ctx context.Context) (*decision, error) {
	r, err := s.run(ctx, s.bin, "audit", "log", "-o", "json")
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != s.asked {
		return nil, fmt.Errorf("the audit log has %d events after %d questions: %s", len(lines), s.asked, r.errs)
	}
	var event struct {
		Decision decision `json:"decision"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &event); err != nil {
		return nil, fmt.Errorf("read audit log: %w\n%s", err, r.text())
	}
	return &event.Decision, nil
}

// alter flips one bit of the last layer of harbour:altered where the registry
// keeps it. Its length stays.
func (s *story) alter() error {
	layer, err := s.layer("altered", -1)
	if err != nil {
		return err
	}
	s.stage.prose("Somebody with access to the registry's disk alters one byte of a layer of harbour:altered.")
	return flip(s.path("registry/sha256/" + filepath.Base(layer)))
}

// flip changes one bit in the middle of a file.
func flip(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	changed := bytes.Clone(b)
	changed[len(b)/2] ^= 1
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		return fmt.Errorf("alter file: %w", err)
	}
	return nil
}
