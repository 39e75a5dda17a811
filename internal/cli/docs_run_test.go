//go:build linux

package cli_test

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"plimsoll/internal/tools/engines"
	"plimsoll/internal/tools/softpiv"
)

var update = flag.Bool("update", false, "write what the commands of the pages really print into docs")

// The pages' registry, and the folder that their commands run in.
const (
	pageRegistry = "localhost:5000"
	pageHome     = "/home/alice"
)

// TestDocsRun does what the pages tell a person to do, in the pages' order, and
// compares what is printed. A page is run by one shell in a folder of its own,
// with a registry of its own and images in oci:app, oci:app2 and oci:fleet. In a page,
//
//   - lines of a console block that begin with "$ " (and "> " for the rest of a
//     command) are run, and what follows is what they print: an ellipsis stands
//     for anything, alone on a line for any lines, and digests, dates, ages
//     and the width of gaps are not compared. A digest that was printed is put
//     where a later command names it.
//   - a block whose first line is "```yaml NAME" is written to the file NAME;
//   - a comment "<!-- before" is run and not shown;
//   - "<!-- needs: root -->" says what the page cannot be run without; "piv
//     12345678" is a soft PIV card of that number, whose PIN is set; "host" is a
//     host with a stock Docker Engine, on which the shell is alice's.
//
// With -update, what is printed replaces what does not fit.
func TestDocsRun(t *testing.T) {
	for name, text := range pages(t) {
		if !strings.Contains(text, "```console") {
			continue
		}
		t.Run(strings.TrimSuffix(name, ".md"), func(t *testing.T) {
			t.Parallel()
			needs(t, text)
			var h *engines.Host
			if onHost(text) {
				h = pageHost(t, text)
			}
			r := newReader(t, h, h != nil || strings.Contains(text, "plimsoll run "), cards(t, text)...)
			got := r.page(text)
			if *update && got != text {
				if err := os.WriteFile(filepath.Join(docs, name), []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// onHost reports whether a page is run on a host of its own.
func onHost(text string) bool {
	m := need.FindStringSubmatch(text)
	return m != nil && slices.Contains(strings.Split(m[1], ", "), "host")
}

var need = regexp.MustCompile(`<!-- needs: (.*) -->`)

// needs skips a page that cannot be run here; under CI it fails.
func needs(t *testing.T, text string) {
	t.Helper()
	m := need.FindStringSubmatch(text)
	if m == nil {
		return
	}
	lack := ""
	for what := range strings.SplitSeq(m[1], ", ") {
		what, _, _ := strings.Cut(what, " ")
		switch what {
		case "host":
			lack = strings.Join(engines.Missing(hostPrograms...), ", ")
		case "root":
			if os.Geteuid() != 0 {
				lack = what
			}
		case "softhsm", "piv":
			if ok, err := condition(what); !ok || err != nil {
				lack = what
			}
		default:
			if _, err := exec.LookPath(what); err != nil {
				lack = what
			}
		}
	}
	if lack != "" && os.Getenv("CI") == "true" {
		t.Fatalf("needs %s", lack)
	} else if lack != "" {
		t.Skipf("needs %s", lack)
	}
}

// cards begins pcscd with the soft cards that a page needs and returns the
// environment in which they are seen.
func cards(t *testing.T, text string) (environment []string) {
	t.Helper()
	m := need.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	for what := range strings.SplitSeq(m[1], ", ") {
		serial, ok := strings.CutPrefix(what, "piv ")
		if !ok {
			continue
		}
		d, env, err := softCards(t.Context(), t.TempDir(), serial)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Stop(); err != nil {
				t.Error(err)
			}
		})
		for name, value := range env {
			environment = append(environment, name+"="+value)
		}
		environment = append(environment, "PLIMSOLL_PIV_PIN="+softpiv.PIN)
	}
	return environment
}

// reader is somebody who types what a page says.
type reader struct {
	t        *testing.T
	dir      string
	registry string
	shell    io.Writer
	printed  *bufio.Reader
	known    map[string]string // digests and IDs of the page → those that were printed here
	pages    map[string]string // and back
}

func newReader(t *testing.T, h *engines.Host, shell bool, environment ...string) *reader {
	t.Helper()
	r := &reader{t: t, dir: t.TempDir(), known: map[string]string{}, pages: map[string]string{}}
	r.registry = serveRegistry(t, h)
	if h != nil {
		r.dir = filepath.Join(h.Dir, "alice") // where she may go
		if err := os.Mkdir(r.dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	pageImages(t, r.dir, shell)
	cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc")
	cmd.Env = append(os.Environ(), "PLIMSOLL_DATA="+filepath.Join(r.dir, "plimsoll"), "PLIMSOLL_IDS="+filepath.Join(r.dir, "ids.json"))
	if h != nil {
		cmd = h.Command(t.Context(), "bash", "--noprofile", "--norc")
	}
	cmd.Dir = r.dir
	if h != nil {
		cmd.Env = append(cmd.Env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	cmd.Env = append(cmd.Env, "HOME="+r.dir, "PLIMSOLL_PLAIN_HTTP=1",
		"PLIMSOLL_KEY_PASSPHRASE=correct-horse-battery", "NO_COLOR=1", "SOFTHSM_UTIL="+softhsmUtil(), "PLIMSOLL_PKCS11_MODULE="+softhsmModule())
	cmd.Env = append(cmd.Env, environment...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // its code is that of the page's last command
	})
	r.shell, r.printed = in, bufio.NewReader(out)
	// The pages' commands by the names that this machine has for them.
	fmt.Fprintln(in, `sudo() { "$@"; }; softhsm2-util() { command "$SOFTHSM_UTIL" "$@"; }`)
	if h != nil {
		fmt.Fprintf(in, "cd %s; chown -R %s .%s", r.dir, engines.People["alice"], hostShell)
	}
	return r
}

// serveRegistry serves a registry under a name as long as the page's, so that
// columns fall where they fall on the page.
func serveRegistry(t *testing.T, h *engines.Host) string {
	t.Helper()
	listen := func(port int) (net.Listener, error) {
		if h != nil { // whose containers may come, too
			return listenOn(t.Context(), h, fmt.Sprintf("0.0.0.0:%d", port))
		}
		return new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	}
	for port := 5000; port < 6000; port++ {
		l, err := listen(port)
		if err != nil {
			continue
		}
		server := &http.Server{
			Handler:           registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))),
			ReadHeaderTimeout: time.Minute,
		}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { _ = server.Close() })
		return fmt.Sprintf("localhost:%d", port)
	}
	t.Fatal("no free port")
	return ""
}

// page does what text says and returns text with what was printed.
func (r *reader) page(text string) string {
	var out strings.Builder
	lines := strings.SplitAfter(text, "\n")
	for i := 0; i < len(lines); {
		first, end := strings.TrimSpace(lines[i]), ""
		switch {
		case first == "```console" || strings.HasPrefix(first, "```yaml "):
			end = "```"
		case first == "<!-- before":
			end = "-->"
		}
		out.WriteString(lines[i])
		i++
		if end == "" {
			continue
		}
		from := i
		for i < len(lines) && strings.TrimSpace(lines[i]) != end {
			i++
		}
		block := lines[from:i]
		switch {
		case first == "```console":
			block = r.console(block)
		case end == "```":
			name := strings.TrimPrefix(first, "```yaml ")
			if err := os.WriteFile(filepath.Join(r.dir, name), []byte(r.here(strings.Join(block, ""))), 0o644); err != nil {
				r.t.Fatal(err)
			}
		default:
			if got, code := r.run(strings.Join(block, "")); code != 0 {
				r.t.Fatalf("before: exit %d: %s", code, got)
			}
		}
		out.WriteString(strings.Join(block, ""))
	}
	return out.String()
}

// console runs the commands of a block and returns it as it should stand.
func (r *reader) console(lines []string) []string {
	var out []string
	for i := 0; i < len(lines); {
		command, ok := strings.CutPrefix(lines[i], "$ ")
		if !ok {
			r.t.Errorf("%q follows no command", lines[i])
			i++
			continue
		}
		out = append(out, lines[i])
		for i++; i < len(lines) && strings.HasPrefix(lines[i], "> "); i++ {
			command += lines[i][2:]
			out = append(out, lines[i])
		}
		from := i
		for i < len(lines) && !strings.HasPrefix(lines[i], "$ ") {
			i++
		}
		want := strings.Join(lines[from:i], "")
		got, _ := r.run(command)
		got = strings.NewReplacer(r.registry, pageRegistry, r.dir, pageHome).Replace(got)
		if !r.fits(want, got) {
			if !*update {
				r.t.Errorf("$ %swant:\n%s\ngot:\n%s", command, want, got)
			}
			want = r.asOnPage(got)
		}
		out = append(out, want)
	}
	return out
}

// here returns a page's text with the names of this run in it.
func (r *reader) here(s string) string {
	s = strings.NewReplacer(pageRegistry, r.registry, pageHome, r.dir).Replace(s)
	return digits.ReplaceAllStringFunc(s, func(d string) string {
		if real, ok := r.known[d]; ok {
			return real
		}
		return d
	})
}

// asOnPage returns what was printed with the page's digests for those that it
// names already.
func (r *reader) asOnPage(printed string) string {
	return digits.ReplaceAllStringFunc(printed, func(d string) string {
		for page, real := range r.known {
			if strings.HasPrefix(real, d) { // some are printed in short
				return page[:len(d)]
			}
		}
		return d
	})
}

// run has the shell run command and returns what it printed and its code.
func (r *reader) run(command string) (string, int) {
	r.t.Helper()
	file := filepath.Join(r.dir, ".command")
	if err := os.WriteFile(file, []byte(r.here(command)), 0o600); err != nil {
		r.t.Fatal(err)
	}
	const mark = "\x01done "
	fmt.Fprintf(r.shell, ". %s </dev/null\n__code=$?; printf '%s%%d\\n' $__code; (exit $__code)\n", file, mark)
	var out strings.Builder
	for {
		line, err := r.printed.ReadString('\n')
		before, code, done := strings.Cut(line, mark)
		out.WriteString(before)
		if done {
			n := 0
			_, err := fmt.Sscan(code, &n)
			if err != nil {
				r.t.Fatal(err)
			}
			return out.String(), n
		}
		if err != nil {
			r.t.Fatalf("the shell ended in %q: %v\n%s", command, err, out.String())
		}
	}
}

var (
	digits = regexp.MustCompile(`\b[0-9a-f]{8,}\b`)
	// loose are the parts of what is printed that differ from run to run.
	loose = regexp.MustCompile(`…|\s+|[A-Za-z0-9+/]{43}=|[0-9A-Z]{5}(?:-[0-9A-Z]{5}){4}|\b[0-9a-f]{8,}\b|(?:%[0-9A-F]{2}){4,}|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+(?: UTC|Z)?)?|[0-9]+ (?:days|h)\b`)
)

// fits reports whether got is what the page says, and learns its digests.
func (r *reader) fits(want, got string) bool {
	var pattern strings.Builder
	last, pageDigits := 0, []string(nil)
	for _, at := range loose.FindAllStringIndex(want, -1) {
		pattern.WriteString(regexp.QuoteMeta(want[last:at[0]]))
		last = at[1]
		switch part := want[at[0]:at[1]]; {
		case part == "…":
			pattern.WriteString(`(?s:.*?)`)
		case strings.TrimSpace(part) == "":
			pattern.WriteString(`\s*`)
		case strings.HasSuffix(part, "="):
			pattern.WriteString(`[A-Za-z0-9+/]{43}=`)
		case len(part) == 29 && part[5] == '-' && part[11] == '-': // a ceremony's fingerprint
			pattern.WriteString(`[0-9A-Z]{5}(?:-[0-9A-Z]{5}){4}`)
		case part[0] == '%':
			pattern.WriteString(`(?:%[0-9A-F]{2})+`)
		case strings.HasSuffix(part, " h") || strings.HasSuffix(part, " days"):
			pattern.WriteString(`[0-9]+ (?:days|h)`)
		case digits.FindString(part) == part:
			fmt.Fprintf(&pattern, `([0-9a-f]{%d})`, len(part))
			pageDigits = append(pageDigits, part)
		default:
			pattern.WriteString(`[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+(?: UTC|Z)?)?`)
		}
	}
	pattern.WriteString(regexp.QuoteMeta(want[last:]))
	m := regexp.MustCompile(`^\s*` + pattern.String() + `\s*$`).FindStringSubmatch(got)
	return m != nil && r.learn(pageDigits, m[1:])
}

// learn notes which digests of the page stand for which of those that were
// printed. It is false if one stands for two.
func (r *reader) learn(page, printed []string) bool {
	for i, p := range page {
		key, real := p[:8], printed[i][:8] // some are printed in short
		if back, ok := r.pages[real]; ok && back != key {
			return false
		}
		r.pages[real] = key
		if known := r.known[p]; known != "" && known != printed[i] {
			return false
		}
		r.known[p] = printed[i]
	}
	return true
}
