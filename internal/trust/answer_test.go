package trust

import (
	"strings"
	"testing"

	"plimsoll/internal/fault"
)

func TestPrintedAnswer(t *testing.T) {
	w := newWorld(t)
	c := w.propose(Changes{Renew: true})
	var typed []*Answer
	for _, n := range []string{"root1", "root2"} {
		a := w.answers(c, n)[0]
		lines, err := c.Print(a)
		w.must(err)
		code, err := c.Code(a)
		w.must(err)
		sloppy := strings.NewReplacer("0", "o", "1", "l").Replace(strings.ToLower(body2(lines)))
		for _, text := range []string{lines, "\n\n" + sloppy, code, "scanned: " + code + "\n"} {
			b, err := ParseAnswer([]byte(text))
			if err != nil {
				t.Fatalf("%v:\n%s", err, text)
			}
			w.must(c.Check(b))
			if n == "root1" && text == lines {
				typed = append(typed, b)
			}
		}
	}
	w.finish(c, append(typed, w.answers(c, "root2")...))
}

// body2 returns the numbered lines without what is said above them.
func body2(lines string) string {
	var all []string
	for l := range strings.Lines(lines) {
		if l[0] != '#' {
			all = append(all, l)
		}
	}
	return strings.Join(all, "\n")
}

func TestMistypedAnswer(t *testing.T) {
	w := newWorld(t)
	c := w.propose(Changes{Renew: true})
	a := w.answers(c, "root1")[0]
	text, err := c.Print(a)
	w.must(err)
	lines := strings.Split(strings.TrimSpace(body2(text)), "\n")
	join := func(all ...string) string { return strings.Join(all, "\n") }
	other := "A"
	if lines[2][4] == 'A' {
		other = "B"
	}
	wrong := append([]string{}, lines...)
	wrong[2] = lines[2][:4] + other + lines[2][5:]
	swapped := append([]string{}, lines...)
	swapped[2], swapped[4] = lines[4], lines[2]
	tests := map[string]struct{ text, words string }{
		"a letter":      {join(wrong...), "was typed wrongly"},
		"lines swapped": {join(swapped...), "stands where line"},
		"a line less":   {join(lines[:len(lines)-2]...), "lines are missing"},
		"nothing":       {"", "not a printed answer"},
		"prose":         {"we all agree", "neither an answer"},
		"a key":         {"-----BEGIN PUBLIC KEY-----", "neither an answer"},
		"bad JSON":      {"{", "not JSON"},
		"another file":  {`{"plimsoll":"ceremony/v1"}`, "the file is"},
		"unknown field": {`{"plimsoll":"ceremony-answer/v1","ceremony":"","key":"","signatures":{},"x":1}`, "unknown fields"},
		"short names":   {`{"plimsoll":"ceremony-answer/v1","ceremony":"","key":"","signatures":{}}`, "not named by a digest"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseAnswer([]byte(tt.text))
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want %q", err, tt.words)
			}
		})
	}
}

func FuzzParseAnswer(f *testing.F) {
	w := newWorld(f)
	c := w.propose(Changes{Renew: true})
	a := w.answers(c, "root1")[0]
	file, err := a.Marshal()
	w.must(err)
	text, err := c.Print(a)
	w.must(err)
	code, err := c.Code(a)
	w.must(err)
	for _, seed := range []string{string(file), text, code, "01 AAAA  AA", "PLIMSOLL-ANSWER:04"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAnswer(b)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("kind %v: %v", fault.KindOf(err), err)
			}
			return
		}
		if err := c.Check(a); err != nil && !fault.Is(err, fault.Untrusted) {
			t.Fatalf("kind %v: %v", fault.KindOf(err), err)
		}
	})
}

func FuzzParseCeremony(f *testing.F) {
	w := newWorld(f)
	w.sign(RoleTargets, "v1", "a")
	for _, ch := range []Changes{{Renew: true}, {As: RoleTargets, Images: []Image{image("v2", "b")}, Renew: true}} {
		b, err := w.propose(ch).Marshal()
		w.must(err)
		f.Add(b)
	}
	f.Add([]byte(`{"plimsoll":"ceremony/v1","gun":"a.example.com/b","until":"2026-01-01T00:00:00Z","words":[],"proposed":{},"current":{},"roots":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCeremony(b)
		if err != nil {
			if !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Untrusted) {
				t.Fatalf("kind %v: %v", fault.KindOf(err), err)
			}
			return
		}
		again, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		same, err := ParseCeremony(again)
		if err != nil || same.ID() != c.ID() {
			t.Fatalf("round trip: %v", err)
		}
	})
}
