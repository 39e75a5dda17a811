package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Root is a private root of apt. The empty status file makes apt resolve all
// dependencies down to the C library.
type Root struct {
	dir, debs, config string
	say               func(string, ...any)
}

// Package is one package that apt chose.
type Package struct {
	Name, Version, Architecture string
	File                        string // its name in the folder of downloads
	Size                        int64  // bytes to download
}

// NewRoot opens the private root name below the folder cache with sources, and
// fetches their lists unless it has them. say is told what takes time.
func NewRoot(ctx context.Context, cache, name string, sources []Source, say func(string, ...any)) (*Root, error) {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return nil, fmt.Errorf("find cache: %w", err)
	}
	dir := filepath.Join(cache, "apt", name)
	r := &Root{dir: dir, debs: filepath.Join(cache, "debs"), config: filepath.Join(dir, "apt.conf"), say: say}
	for _, d := range []string{r.debs, dir + "/state/lists/partial", dir + "/cache/archives/partial", dir + "/parts", dir + "/log"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("make private apt folder: %w", err)
		}
	}
	var text strings.Builder
	for _, s := range sources {
		fmt.Fprintln(&text, s)
	}
	for path, content := range map[string]string{"parts/own.sources": text.String(), "status": "", "apt.conf": fmt.Sprintf(aptConfig, dir)} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(content), 0o644); err != nil {
			return nil, fmt.Errorf("write private apt configuration: %w", err)
		}
	}
	stamp := fmt.Sprintf("%x\n", sha256.Sum256([]byte(text.String())))
	if have, err := os.ReadFile(r.stamp()); err == nil && string(have) == stamp {
		return r, nil
	}
	if err := r.update(ctx); err != nil {
		return nil, err
	}
	return r, os.WriteFile(r.stamp(), []byte(stamp), 0o644)
}

// aptConfig moves everything that apt writes into the folder %[1]s and silences
// the machine's hooks. What the machine says about proxies and credentials stays.
const aptConfig = `Dir::State "%[1]s/state";
Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s/cache";
Dir::Log "%[1]s/log";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "%[1]s/parts";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Default-Release "";
Acquire::Languages "none";
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::CNF;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
`

func (r *Root) stamp() string { return filepath.Join(r.dir, "stamp") }

func (r *Root) update(ctx context.Context) error {
	r.say("fetching the package lists of %s", filepath.Base(r.dir))
	_, err := r.apt(ctx, r.dir, "-o", "APT::Update::Error-Mode=any", "update")
	return err
}

// Resolve returns names and everything that they depend on, in apt's order. A
// name may be name=version.
func (r *Root) Resolve(ctx context.Context, names ...string) ([]Package, error) {
	out, err := r.apt(ctx, r.dir, append([]string{"install", "--yes", "--print-uris"}, names...)...)
	if err != nil {
		return nil, err
	}
	return parseURIs(out)
}

// Find returns names alone, without what they depend on.
func (r *Root) Find(ctx context.Context, names ...string) ([]Package, error) {
	out, err := r.apt(ctx, r.dir, append([]string{"download", "--print-uris"}, names...)...)
	if err != nil {
		return nil, err
	}
	return parseURIs(out)
}

var uriLine = regexp.MustCompile(`^'[^']+' (([^ _]+)_([^ _]+)_([^ _.]+)\.deb) ([0-9]+) `)

// parseURIs reads what apt-get --print-uris writes: 'URI' FILE SIZE HASH.
func parseURIs(out []byte) ([]Package, error) {
	var all []Package
	for line := range bytes.Lines(out) {
		m := uriLine.FindStringSubmatch(string(line))
		if m == nil {
			continue
		}
		version, err := url.PathUnescape(m[3])
		if err != nil {
			return nil, fmt.Errorf("read apt's list: %w", err)
		}
		size, err := strconv.ParseInt(m[5], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read apt's list: %w", err)
		}
		all = append(all, Package{Name: m[2], Version: version, Architecture: m[4], File: m[1], Size: size})
	}
	return all, nil
}

// Download fetches packages, verified by apt, and returns their paths. What is
// there is not fetched again. Lists that have gone stale are fetched anew once.
func (r *Root) Download(ctx context.Context, packages []Package) ([]string, error) {
	var paths, missing []string
	for _, p := range packages {
		path := filepath.Join(r.debs, p.File)
		paths = append(paths, path)
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, p.Name+":"+p.Architecture+"="+p.Version)
		}
	}
	if len(missing) == 0 {
		return paths, nil
	}
	r.say("fetching %d packages", len(missing))
	_, err := r.apt(ctx, r.debs, append([]string{"download"}, missing...)...)
	if err != nil {
		return nil, errors.Join(err, os.Remove(r.stamp())) // the next run begins with fresh lists
	}
	return paths, nil
}

// Unpack downloads packages and unpacks them into the folder dir, which has
// /bin, /lib and /sbin merged into /usr.
func (r *Root) Unpack(ctx context.Context, packages []Package, dir string) error {
	paths, err := r.Download(ctx, packages)
	if err != nil {
		return err
	}
	if err := mergeUsr(dir); err != nil {
		return err
	}
	for _, path := range paths {
		cmd := exec.CommandContext(ctx, "sh", "-c", `dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --no-same-owner --no-same-permissions`, "sh", path, dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w\n%s", filepath.Base(path), err, out)
		}
	}
	return nil
}

// mergeUsr makes the links that merge the top folders into /usr.
func mergeUsr(dir string) error {
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(dir, "usr", name), 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := os.Symlink("usr/"+name, filepath.Join(dir, name)); err != nil && !os.IsExist(err) {
			return fmt.Errorf("make link: %w", err)
		}
	}
	return nil
}

// apt runs apt-get in this root, from the folder dir, and returns what it wrote.
func (r *Root) apt(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-qq", "-c", r.config}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("apt-get %s: %w\n%s", args[0], err, errs.String())
	}
	return out.Bytes(), nil
}
