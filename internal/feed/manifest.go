package feed

import (
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"github.com/goccy/go-yaml"

	"plimsoll/internal/fault"
	"plimsoll/internal/pack"
)

const (
	manifestName = "sources.yaml"
	manifestMax  = 1 << 20 // bytes
)

type manifest struct {
	Sources []source
}

// source is one entry of the manifest.
type source struct {
	pack.Source
	Path     string // in the folder
	Under    string // only files below this folder of the source; "" for all
	Format   string // a key of formats
	FixDates string // of debian-tracker: a file of dates, see parseFixDates
}

// entry is the manifest's own spelling of a source.
type entry struct {
	Name        string `yaml:"name"`
	Path        string `yaml:"path"`
	Under       string `yaml:"under"`
	Format      string `yaml:"format"`
	FixDates    string `yaml:"fixDates"`
	URL         string `yaml:"url"`
	Revision    string `yaml:"revision"`
	Licence     string `yaml:"licence"`
	Attribution string `yaml:"attribution"`
	AsOf        string `yaml:"asOf"`
}

func readManifest(root *os.Root) (*manifest, error) {
	f, err := root.Open(manifestName)
	if err != nil {
		return nil, fault.Hint(fmt.Errorf("open manifest of sources: %w", err),
			"write %s into the folder: for each source its name, path, format, licence and asOf date", manifestName)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, manifestMax+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest of sources: %w", err)
	}
	return parseManifest(b)
}

func parseManifest(b []byte) (*manifest, error) {
	if len(b) > manifestMax {
		return nil, fault.Errorf(fault.Invalid, "%s: larger than %d bytes", manifestName, manifestMax)
	}
	var doc struct {
		Sources []entry `yaml:"sources"`
	}
	if err := decodeYAML(b, &doc); err != nil {
		return nil, fault.Errorf(fault.Invalid, "%s: %w", manifestName, err)
	}
	if len(doc.Sources) == 0 {
		return nil, fault.Errorf(fault.Invalid, "%s: no sources", manifestName)
	}
	m, names := new(manifest), map[string]bool{}
	for _, e := range doc.Sources {
		s, err := e.source()
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "%s: source %q: %w", manifestName, e.Name, err)
		}
		if names[s.Name] {
			return nil, fault.Errorf(fault.Invalid, "%s: source %q stands there twice", manifestName, e.Name)
		}
		names[s.Name] = true
		m.Sources = append(m.Sources, s)
	}
	return m, nil
}

func (e *entry) source() (source, error) {
	for what, v := range map[string]string{"name": e.Name, "path": e.Path, "licence": e.Licence, "asOf": e.AsOf} {
		if v == "" {
			return source{}, fmt.Errorf("%s is missing", what)
		}
	}
	if _, ok := formats[e.Format]; !ok {
		return source{}, fmt.Errorf("unknown format %q", e.Format)
	}
	if e.FixDates != "" && e.Format != debianTracker {
		return source{}, fmt.Errorf("fixDates belongs to the format %s", debianTracker)
	}
	asOf, err := parseDate(e.AsOf)
	if err != nil {
		return source{}, fmt.Errorf("asOf: %w", err)
	}
	s := source{Path: path.Clean(e.Path), Under: e.Under, Format: e.Format, FixDates: e.FixDates}
	s.Source = pack.Source{Name: e.Name, URL: e.URL, Revision: e.Revision, Licence: e.Licence, Attribution: e.Attribution, AsOf: asOf}
	return s, nil
}

// parseDate reads a day, "2026-08-21", or a moment as RFC 3339 writes it.
func parseDate(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a day (2006-01-02) nor a moment (RFC 3339)", s)
	}
	return t.UTC(), nil
}

// decodeYAML decodes b strictly. The parser panics on some malformed documents;
// to us they are malformed and no more.
func decodeYAML(b []byte, to any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("not YAML that can be parsed: %v", r)
		}
	}()
	return yaml.UnmarshalWithOptions(b, to, yaml.Strict())
}
