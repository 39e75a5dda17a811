package engine

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
)

const maxRecipe = 1 << 20 // bytes of a Dockerfile

var (
	escapeDirective = regexp.MustCompile(`(?im)^[ \t]*#[ \t]*escape[ \t]*=`)
	heredoc         = regexp.MustCompile(`<<-?[ \t]*['"]?[A-Za-z_]`)
	continued       = regexp.MustCompile(`\\[ \t]*$`)
	variable        = regexp.MustCompile(`\$(\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*)`)
)

// recipe is what a Dockerfile has said so far.
type recipe struct {
	args   map[string]string // of the build, by name
	known  map[string]string // ARG before the first FROM
	stages []string          // names in lower case
	judge  func(image string) error
}

// judgeRecipe judges every image that a Dockerfile takes: FROM, and the --from of
// COPY and ADD, also as ONBUILD.
func (q *request) judgeRecipe(data []byte, args map[string]string) error {
	r := recipe{args: args, known: map[string]string{}, judge: q.judgeBase}
	return r.read(string(data))
}

func (r *recipe) read(text string) error {
	if escapeDirective.MatchString(text) {
		return denied("Dockerfile: the escape directive may not be used")
	}
	if strings.ContainsAny(text, "\x00\v\f\u0085\u00a0\u2028\u2029") {
		return denied("Dockerfile: spaces and line ends must be plain")
	}
	for _, line := range instructions(text) {
		if heredoc.MatchString(line) {
			return denied("Dockerfile: here-documents are BuildKit's")
		}
		if err := r.line(line); err != nil {
			return err
		}
	}
	return nil
}

// instructions joins continued lines and leaves out comments, also between them.
func instructions(text string) []string {
	text = strings.TrimPrefix(text, "\ufeff")
	var all []string
	var open strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if s := strings.TrimSpace(line); s == "" || s[0] == '#' {
			continue
		}
		if continued.MatchString(line) {
			open.WriteString(continued.ReplaceAllString(line, ""))
			continue
		}
		open.WriteString(line)
		all = append(all, strings.TrimSpace(open.String()))
		open.Reset()
	}
	if open.Len() > 0 {
		all = append(all, strings.TrimSpace(open.String()))
	}
	return all
}

func (r *recipe) line(line string) error {
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	word, rest := strings.ToUpper(words[0]), words[1:]
	if word == "ONBUILD" && len(rest) > 0 {
		word, rest = strings.ToUpper(rest[0]), rest[1:]
	}
	switch word {
	case "ARG":
		if len(r.stages) == 0 {
			r.argument(rest)
		}
	case "FROM":
		return r.from(rest)
	case "COPY", "ADD":
		return r.copies(rest)
	}
	return nil
}

func (r *recipe) argument(rest []string) {
	for _, word := range rest {
		name, value, _ := strings.Cut(word, "=")
		if given, ok := r.args[name]; ok {
			value = given
		}
		r.known[name] = strings.Trim(value, `"'`)
	}
}

func (r *recipe) from(rest []string) error {
	rest = slices.DeleteFunc(slices.Clone(rest), func(w string) bool { return strings.HasPrefix(w, "--") })
	if len(rest) == 0 {
		return fault.Errorf(fault.Invalid, "Dockerfile: FROM names no image")
	}
	image, err := r.expand(rest[0])
	if err != nil {
		return err
	}
	name := ""
	if len(rest) == 3 && strings.EqualFold(rest[1], "as") {
		name = strings.ToLower(rest[2])
	}
	known := slices.Contains(r.stages, strings.ToLower(image))
	r.stages = append(r.stages, name)
	if known {
		return nil
	}
	return r.judge(image)
}

func (r *recipe) copies(rest []string) error {
	for _, word := range rest {
		lower := strings.ToLower(strings.Trim(word, `"'\`))
		if !strings.HasPrefix(lower, "--from") {
			continue
		}
		_, source, ok := strings.Cut(word, "=")
		if !ok || source == "" || strings.ContainsAny(source, "$\\\"'") {
			return denied("Dockerfile: %q is not written plainly", clip(word))
		}
		if slices.Contains(r.stages, strings.ToLower(source)) {
			continue
		}
		if n, err := strconv.Atoi(source); err == nil && n >= 0 && n < len(r.stages) {
			continue
		}
		if err := r.judge(source); err != nil {
			return err
		}
	}
	return nil
}

// expand puts the values of arguments in; what cannot be known is refused.
func (r *recipe) expand(s string) (string, error) {
	expanded := variable.ReplaceAllStringFunc(s, func(v string) string {
		if value := r.known[strings.Trim(v, "${}")]; value != "" {
			return value
		}
		return v
	})
	if expanded == "" || strings.ContainsAny(expanded, "$\\\"'{}") {
		return "", denied("Dockerfile: FROM %q is not written so that it can be known", clip(s))
	}
	return expanded, nil
}
