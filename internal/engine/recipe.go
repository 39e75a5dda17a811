package engine

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"plimsoll/internal/fault"
)

const maxRecipe = 1 << 20 // bytes of a Dockerfile

var (
	escapeDirective = regexp.MustCompile(`(?im)^[ \t]*#[ \t]*escape[ \t]*=`)
	heredoc         = regexp.MustCompile(`(^|[ \t])[0-9]*<<($|[^<])`)
	continued       = regexp.MustCompile(`\\[ \t]*$`)
	doubled         = regexp.MustCompile(`\\\\[ \t]*$`)
	variable        = regexp.MustCompile(`\$(\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*)`)
	argument        = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(=("[^"'\\\s]*"|'[^"'\\\s]*'|[^"'\\\s]*))?$`)
)

// recipe is what a Dockerfile has said so far.
type recipe struct {
	args   map[string]string // of the build, by name
	known  map[string]string // ARG before the first FROM
	stages []string          // names in lower case
	judge  func(image string) (id string, err error)
}

// judgeRecipe judges every image that a Dockerfile takes: FROM, and the --from of
// COPY and ADD, also as ONBUILD. What it returns is the Dockerfile written anew:
// one instruction a line, without comments, every image by the ID that was judged.
// So the engine cannot read it in another way, and a name that comes to stand for
// another image in the meantime changes nothing.
func (q *request) judgeRecipe(data []byte, args map[string]string) ([]byte, error) {
	r := recipe{args: args, known: map[string]string{}, judge: q.judgeBase}
	return r.read(string(data))
}

// judgeTriggers judges what an image does when it is built on: no more than copy
// from the context and run.
func judgeTriggers(image string, triggers []string) error {
	r := recipe{stages: []string{""}, judge: func(string) (string, error) {
		return "", denied("build: image %q copies from another image when it is built on", clip(image))
	}}
	for _, t := range triggers {
		if strings.Contains(t, "\n") {
			return denied("build: image %q has a trigger of several lines", clip(image))
		}
		if _, err := r.read(t); err != nil {
			return err
		}
	}
	return nil
}

func (r *recipe) read(text string) ([]byte, error) {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	if escapeDirective.MatchString(text) {
		return nil, denied("Dockerfile: the escape directive may not be used")
	}
	if strings.ContainsFunc(text, func(c rune) bool {
		return c != '\n' && c != '\t' && (unicode.IsSpace(c) && c != ' ' || unicode.IsControl(c))
	}) {
		return nil, denied("Dockerfile: spaces and line ends must be plain")
	}
	lines, err := instructions(text)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	for _, line := range lines {
		if heredoc.MatchString(line) {
			return nil, denied("Dockerfile: here-documents are BuildKit's")
		}
		if line, err = r.line(line); err != nil {
			return nil, err
		}
		out.WriteString(line + "\n")
	}
	return []byte(out.String()), nil
}

// instructions joins continued lines and leaves out comments, also between them.
// Two backslashes at a line's end continue it for some engines and not for others.
func instructions(text string) ([]string, error) {
	var all []string
	var open strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		if s := strings.TrimSpace(line); s == "" || s[0] == '#' {
			continue
		}
		if doubled.MatchString(line) {
			return nil, denied("Dockerfile: a line may not end in two backslashes")
		}
		if continued.MatchString(line) {
			open.WriteString(continued.ReplaceAllString(line, ""))
			continue
		}
		open.WriteString(line)
		all = append(all, strings.TrimSpace(open.String()))
		open.Reset()
	}
	if s := strings.TrimSpace(open.String()); s != "" {
		all = append(all, s)
	}
	for _, line := range all {
		if line == "" || line[0] == '#' || continued.MatchString(line) {
			return nil, denied("Dockerfile: %q can be read in several ways", clip(line))
		}
	}
	return all, nil
}

// line judges an instruction and returns it as it is passed on.
func (r *recipe) line(line string) (string, error) {
	words := strings.Fields(line)
	word, rest := strings.ToUpper(words[0]), words[1:]
	before := word + " "
	if word == "ONBUILD" && len(rest) > 0 {
		word, rest = strings.ToUpper(rest[0]), rest[1:]
		before += word + " "
	}
	switch word {
	case "ARG":
		if len(r.stages) == 0 {
			return line, r.argument(rest)
		}
	case "FROM":
		image, err := r.from(rest)
		return before + image, err
	case "COPY", "ADD":
		return r.copies(before, word, rest, line)
	}
	return line, nil
}

// argument keeps an ARG before the first FROM. What an engine would take apart in
// another way (quotes, names that are variables) is refused.
func (r *recipe) argument(rest []string) error {
	for _, word := range rest {
		if !argument.MatchString(word) {
			return denied("Dockerfile: ARG %q before FROM is not written plainly", clip(word))
		}
		name, value, _ := strings.Cut(word, "=")
		if given, ok := r.args[name]; ok {
			value = given
		}
		r.known[name] = strings.Trim(value, `"'`)
	}
	return nil
}

// flags returns how many words at the beginning are flags, which must be plain.
func flags(words []string) (int, error) {
	for i, w := range words {
		if !strings.HasPrefix(w, "--") {
			return i, nil
		}
		if w == "--" || strings.ContainsAny(w, `"'\$`) {
			return 0, denied("Dockerfile: %q is not written plainly", clip(w))
		}
	}
	return len(words), nil
}

func (r *recipe) from(rest []string) (string, error) {
	n, err := flags(rest)
	if err != nil {
		return "", err
	}
	plain := rest[n:]
	if len(plain) != 1 && (len(plain) != 3 || !strings.EqualFold(plain[1], "as")) {
		return "", denied("Dockerfile: FROM %q is not \"IMAGE\" or \"IMAGE AS NAME\"", clip(strings.Join(plain, " ")))
	}
	image, err := r.expand(plain[0])
	if err != nil {
		return "", err
	}
	name := ""
	if len(plain) == 3 {
		name = strings.ToLower(plain[2])
	}
	known := slices.Contains(r.stages, strings.ToLower(image))
	r.stages = append(r.stages, name)
	if !known {
		if image, err = r.judge(image); err != nil {
			return "", err
		}
	}
	return strings.Join(slices.Concat(rest[:n], []string{image}, plain[1:]), " "), nil
}

// copies judges a COPY or ADD and returns it with images by their IDs.
func (r *recipe) copies(before, word string, rest []string, line string) (string, error) {
	n, err := flags(rest)
	if err != nil {
		return "", err
	}
	if word == "ADD" {
		if err := fetches(rest[n:]); err != nil {
			return "", err
		}
	}
	given := slices.Clone(rest[:n])
	for i, w := range given {
		name, source, _ := strings.Cut(w, "=")
		if !strings.HasPrefix(strings.ToLower(name), "--from") {
			continue
		}
		if name != "--from" || source == "" {
			return "", denied("Dockerfile: %q is not written plainly", clip(w))
		}
		if source, err = r.source(source); err != nil {
			return "", err
		}
		given[i] = "--from=" + source
	}
	// What follows the flags is passed on as it was, spaces included.
	after := line
	for range len(strings.Fields(before)) + n {
		after = strings.TrimLeft(after, " \t")
		if at := strings.IndexAny(after, " \t"); at >= 0 {
			after = after[at:]
		} else {
			after = ""
		}
	}
	return before + strings.Join(append(given, strings.TrimLeft(after, " \t")), " "), nil
}

// source judges what a --from names: a stage, or an image.
func (r *recipe) source(name string) (string, error) {
	if slices.Contains(r.stages, strings.ToLower(name)) {
		return name, nil
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < len(r.stages) {
		return name, nil
	}
	return r.judge(name)
}

// fetches refuses an ADD of an address: the engine fetches it as the host, from
// wherever the host gets.
func fetches(words []string) error {
	text := strings.Join(words, " ")
	odd := `"'\$`
	if strings.HasPrefix(text, "[") {
		odd = `'\$`
	}
	if strings.Contains(text, "://") || strings.ContainsAny(text, odd) || strings.HasPrefix(text, "git@") {
		return fault.Hint(denied("Dockerfile: ADD %q: addresses are not fetched, and what could be one must be written plainly", clip(text)), "COPY, or RUN with the network that the profile grants")
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
	if expanded == "" || strings.ContainsAny(expanded, "$\\\"'{} \t") {
		return "", denied("Dockerfile: FROM %q is not written so that it can be known", clip(s))
	}
	return expanded, nil
}
