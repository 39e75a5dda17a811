package cli_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"plimsoll/internal/cli"
)

const docs = "../../docs"

// pages returns the documentation by file name, relative to docs.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(docs, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(docs, path)
		all[name] = string(b)
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d pages: %v", len(all), err)
	}
	return all
}

// everyCommand calls f with each command of the tree.
func everyCommand(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		everyCommand(sub, f)
	}
}

var (
	shown    = regexp.MustCompile(`(?m)^\$ (?:sudo )?(plimsoll .*)$`)
	flagName = regexp.MustCompile(`(?:^|[\s\x60(\[])--([a-z][a-z-]+)`)
	variable = regexp.MustCompile(`PLIMSOLL_[A-Z0-9_]+`)
	console  = regexp.MustCompile("(?s)```(?:console|sh)\n.*?\n```") // other programs are called in there
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	host     = regexp.MustCompile(`\b[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|dev|golang)\b`)
	private  = regexp.MustCompile(`\b(?:10|192\.168|172\.(?:1[6-9]|2[0-9]|3[01]))\.[0-9]{1,3}\.[0-9]{1,3}|/(?:tmp|work)/`)
)

// TestDocsNameWhatExists reads every command, flag and variable that a page
// names against the real ones.
func TestDocsNameWhatExists(t *testing.T) {
	flags := map[string]bool{"help": true}
	// Those of docker, dockerd, runc and Dockerfiles, which pages speak of.
	for f := range strings.FieldsSeq("device device-cgroup-rule from ipc mount net no-new-keyring no-pivot oom-score-adj pid preserve-fds privileged runtime security-opt tlsverify ulimit userns userns-remap uts") {
		flags[f] = true
	}
	everyCommand(cli.Tree(), func(c *cobra.Command) {
		for _, m := range flagName.FindAllStringSubmatch(c.LocalFlags().FlagUsages(), -1) {
			flags[m[1]] = true
		}
	})
	known := variables(t)
	for name, text := range pages(t) {
		for _, m := range shown.FindAllStringSubmatch(text, -1) {
			if err := parses(m[1]); err != nil {
				t.Errorf("%s: %q: %v", name, m[1], err)
			}
		}
		for _, m := range flagName.FindAllStringSubmatch(console.ReplaceAllString(text, ""), -1) {
			if !flags[m[1]] {
				t.Errorf("%s: no command has the flag --%s", name, m[1])
			}
		}
		for _, v := range variable.FindAllString(text, -1) {
			if !known[v] {
				t.Errorf("%s: nothing reads the variable %s", name, v)
			}
		}
	}
}

// parses reads a command line, as far as its first pipe or redirection, up to
// what its arguments mean.
func parses(line string) error {
	var args []string
	for _, word := range strings.Fields(line)[1:] {
		if slices.Contains([]string{"|", "||", "&&", ">", "2>", "<", ";", "#"}, word) || word == `\` {
			break
		}
		args = append(args, strings.Trim(strings.TrimSuffix(word, ";"), `'"`))
	}
	cmd, rest, err := cli.Tree().Find(args)
	if err != nil {
		return err
	}
	return cmd.ParseFlags(rest)
}

// variables are those that the program's source names.
func variables(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, v := range variable.FindAllString(string(b), -1) {
			known[v] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return known
}

// TestSettingsAreComplete demands that the page of settings names every global
// flag and every variable that the commands read.
func TestSettingsAreComplete(t *testing.T) {
	text := pages(t)["settings.md"]
	for _, m := range flagName.FindAllStringSubmatch(cli.Tree().PersistentFlags().FlagUsages(), -1) {
		if !strings.Contains(text, "`--"+m[1]+"`") {
			t.Errorf("settings.md does not name --%s", m[1])
		}
	}
	for _, folder := range []string{"../app", "../cli", "../key"} {
		err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || strings.HasSuffix(path, "_test.go") || filepath.Ext(path) != ".go" {
				return err
			}
			b, err := os.ReadFile(path)
			for _, v := range variable.FindAllString(string(b), -1) {
				if !strings.Contains(text, v) {
					t.Errorf("settings.md does not name %s, which %s does", v, path)
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestDocsLinksResolve follows the links between pages.
func TestDocsLinksResolve(t *testing.T) {
	all := pages(t)
	for name, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.HasPrefix(target, "https://") {
				continue
			}
			to := name
			if target != "" {
				to = filepath.Join(filepath.Dir(name), target)
			}
			if _, err := os.Stat(filepath.Join(docs, to)); err != nil {
				t.Errorf("%s: link %q leads nowhere", name, m[1])
			} else if anchor != "" && !slices.Contains(anchors(all[to]), anchor) {
				t.Errorf("%s: %q has no heading %q", name, to, anchor)
			}
		}
	}
}

var heading = regexp.MustCompile(`(?m)^#+ (.*)$`)

// anchors returns the names by which a page's headings are linked.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// TestDocsNameNoMachine keeps names out of the pages that only one machine or
// one network knows: hosts are examples, or those of a standard.
func TestDocsNameNoMachine(t *testing.T) {
	good := []string{
		"example.com", "example.net", "example.org", "docker.io", "github.com", "vnd.plimsoll.trust", "cel.dev", "profile.io",
		"crates.io", "cyclonedx.org", "golang.org", "go.etcd.io", "in-toto.io", "openvex.dev", "sigstore.dev", "slsa.dev", "spdx.dev", "vnd.dev", "modernc.org", "oras.land", "c2sp.org", "deps.dev", "nodejs.org", "theupdateframework.io", "rsc.io",
	}
	for name, text := range pages(t) {
		for _, h := range host.FindAllString(text, -1) {
			if !slices.ContainsFunc(good, func(g string) bool { return h == g || strings.HasSuffix(h, "."+g) }) {
				t.Errorf("%s: %q is no example's name", name, h)
			}
		}
		for _, p := range private.FindAllString(text, -1) {
			t.Errorf("%s: %q is known on one machine or network only", name, p)
		}
	}
}
