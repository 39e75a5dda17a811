// Command excerpt cuts a sample for an entry of the products that native code is
// recognised by out of a file of a Debian package, and prints the sample's line:
//
//	go run ./internal/tools/excerpt -package libexpat1 -path usr/lib/x86_64-linux-gnu/libexpat.so.1.8.10 \
//		-product expat -version 2.5.0 -licence MIT -text 'expat_2.5.0\x00'
//
// apt finds and verifies the package, in a private root, with this machine's own
// sources; -deb names a package that is at hand instead. Give -text once for each
// text that a pattern needs: the one with the version, and where the version stands
// alone its anchor, too. Texts may hold the escapes of Go's strings.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"plimsoll/internal/tools/debian"
)

// samples is where the excerpts are, from the repository's root.
const samples = "internal/scan/native/testdata/samples"

type request struct {
	name, deb, path           string
	product, version, licence string
	texts                     [][]byte
	round                     int
	folder, cache             string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "excerpt:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	r, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if r.deb == "" {
		if r.deb, err = r.download(ctx, stderr); err != nil {
			return err
		}
	}
	content, err := readMember(ctx, r.deb, r.path)
	if err != nil {
		return err
	}
	bytes, err := cut(content, r.texts, r.round)
	if err != nil {
		return err
	}
	file := r.product + "-" + r.version + ".bin"
	if err := os.WriteFile(filepath.Join(r.folder, file), bytes, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "    - {file: %s, version: %q, package: %q, path: %q, sha256: %x, licence: %s}\n",
		file, r.version, filepath.Base(r.deb), r.path, sha256.Sum256(content), r.licence)
	return err
}

func parse(args []string, stderr io.Writer) (r request, err error) {
	flags := flag.NewFlagSet("excerpt", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&r.name, "package", "", "Debian package that holds the file")
	flags.StringVar(&r.deb, "deb", "", "package file that is at hand, instead of -package")
	flags.StringVar(&r.path, "path", "", "the file's path in the package, without a leading slash")
	flags.StringVar(&r.product, "product", "", "product that the entry is about")
	flags.StringVar(&r.version, "version", "", "version that is to be recognised")
	flags.StringVar(&r.licence, "licence", "", "SPDX expression of the file's licence")
	flags.IntVar(&r.round, "round", 32, "`bytes` before and behind each text")
	flags.StringVar(&r.folder, "out", samples, "folder of the samples")
	flags.StringVar(&r.cache, "cache", ".cache/excerpt", "folder for apt's lists and the packages")
	flags.Func("text", "text that a pattern needs, with escapes such as \\x00 (may be repeated)", func(s string) error {
		text, err := unescape(s)
		r.texts = append(r.texts, []byte(text))
		return err
	})
	if err := flags.Parse(args); err != nil {
		return r, err
	}
	switch {
	case (r.name == "") == (r.deb == ""):
		return r, errors.New("give either -package or -deb")
	case r.path == "" || len(r.texts) == 0:
		return r, errors.New("give -path and at least one -text")
	case r.product == "" || r.version == "" || r.licence == "":
		return r, errors.New("give -product, -version and -licence")
	case strings.ContainsAny(r.product+r.version, "/\\"):
		return r, errors.New("product and version name a file, and hold no slash")
	}
	return r, nil
}

// unescape reads the escapes of Go's strings in s.
func unescape(s string) (string, error) {
	return strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
}

func (r *request) download(ctx context.Context, stderr io.Writer) (string, error) {
	machine, err := debian.ThisMachine(ctx)
	if err != nil {
		return "", err
	}
	root, err := debian.HostRoot(ctx, machine, r.cache, func(format string, args ...any) {
		fmt.Fprintf(stderr, format+"\n", args...)
	})
	if err != nil {
		return "", err
	}
	packages, err := root.Find(ctx, r.name)
	if err != nil {
		return "", err
	}
	paths, err := root.Download(ctx, packages)
	if err != nil {
		return "", err
	}
	if len(paths) != 1 {
		return "", fmt.Errorf("apt knows %d packages %q", len(paths), r.name)
	}
	return paths[0], nil
}

// readMember returns the content of one file of a package.
func readMember(ctx context.Context, deb, path string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "excerpt-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "--extract", deb, dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("unpack %q: %w: %s", deb, err, out)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	content, err := root.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what the package holds: %w", err)
	}
	return content, nil
}
