package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// A stage is where the story is told.
type stage struct {
	w      io.Writer
	colour bool
	limit  int // lines of one output that are shown
}

func newStage(w io.Writer) *stage {
	f, ok := w.(*os.File)
	_, never := os.LookupEnv("NO_COLOR")
	return &stage{w: w, limit: usualLines, colour: ok && !never && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))}
}

// The ways of writing (ECMA-48, "Select graphic rendition").
const (
	bold  = "1"
	dim   = "2"
	green = "32"
	cyan  = "1;36"
)

func (s *stage) styled(style, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// How much of one command's output is shown: usually, and of a long table.
const (
	usualLines = 20
	tableLines = 44
)

// title begins a part of the story.
func (s *stage) title(number int, text string) {
	line := fmt.Sprintf("%d  %s", number, text)
	fmt.Fprintf(s.w, "\n%s\n%s\n", s.styled(cyan, line), s.styled(dim, strings.Repeat("─", len(line))))
}

// prose says something in passing.
func (s *stage) prose(format string, args ...any) {
	fmt.Fprintf(s.w, "\n%s\n", fmt.Sprintf(format, args...))
}

// command shows a command that is about to run.
func (s *stage) command(line string) {
	fmt.Fprintf(s.w, "\n%s %s\n", s.styled(dim, "$"), s.styled(bold, line))
}

// fact tells something that has been checked.
func (s *stage) fact(format string, args ...any) {
	fmt.Fprintf(s.w, "  %s %s\n", s.styled(green, "✓"), fmt.Sprintf(format, args...))
}

// output shows what a command printed: all of it, or where that is more lines
// than the limit, as many from its beginning and its end.
func (s *stage) output(text string) {
	if text == "" {
		return
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if hidden := len(lines) - s.limit; hidden > 1 {
		half := s.limit / 2
		tail := lines[len(lines)-half:]
		lines = append(lines[:s.limit-half:s.limit-half], s.styled(dim, fmt.Sprintf("… %d lines more …", hidden)))
		lines = append(lines, tail...)
	}
	for _, line := range lines {
		fmt.Fprintln(s.w, line)
	}
}
