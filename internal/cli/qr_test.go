package cli

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestQRCode(t *testing.T) {
	text, err := qrCode("PLIMSOLL-ANSWER:" + strings.Repeat("0123456789ABCDEF", 9))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	width := utf8.RuneCountInString(lines[0])
	if width > 80 || len(lines) != (width+1)/2 {
		t.Errorf("%d columns, %d lines", width, len(lines))
	}
	for i, l := range lines {
		if utf8.RuneCountInString(l) != width {
			t.Errorf("line %d is of another length", i+1)
		}
	}
	// The border is light, and below it the corner's dark square begins: seven
	// modules wide.
	if lines[0] != strings.Repeat("█", width) || !strings.HasPrefix(lines[1], "███"+strings.Repeat("▀", 7)+"█") {
		t.Errorf("begins:\n%s\n%s", lines[0], lines[1])
	}
	if _, err := qrCode(strings.Repeat("A", 5000)); err == nil {
		t.Error("a text that no QR code holds was taken")
	}
}
