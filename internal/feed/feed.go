// Package feed reads advisories as their publishers write them and hands them,
// as OSV records, to a pack's builder.
//
// A folder of sources has a manifest, sources.yaml, which says of each source
// where it lies in the folder (a file, a folder, or a tar archive compressed
// with zstd), in which format it is, under which licence it came and of which
// date it is. Nothing is guessed: a source without a date cannot be judged by
// its age, one without a licence should not be passed on.
//
// A record that cannot be read makes the whole load fail, because an advisory
// that was left out looks like a hole that does not exist. [Options.SkipInvalid]
// counts and lists such records instead.
package feed

import (
	"context"
	"fmt"
	"os"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
	"plimsoll/internal/pack"
)

// Options change how a folder is loaded.
type Options struct {
	SkipInvalid bool
	Progress    func(n int) // called with the number of bytes read; may be nil
}

// Report says what was found in a source.
type Report struct {
	Source  string   `json:"source"`
	Files   int      `json:"files"`
	Records int      `json:"records"` // taken
	Left    int      `json:"left"`    // withdrawn, no hole, or of an ecosystem that is not supported
	Invalid []string `json:"invalid,omitempty"`
}

// parser reads one file of a source. Each error stands for one record.
type parser func(body []byte) ([]*advisory.Record, []error)

// Load reads the sources that dir's manifest names into b. Errors are Invalid,
// and name the file, unless the folder cannot be read.
func Load(ctx context.Context, dir string, b *pack.Builder, o Options) ([]Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open folder of sources: %w", err)
	}
	defer root.Close()
	m, err := readManifest(root)
	if err != nil {
		return nil, err
	}
	var reports []Report
	for i := range m.Sources {
		report, err := m.Sources[i].load(ctx, root, b, o)
		if err != nil {
			return nil, fmt.Errorf("source %q: %w", m.Sources[i].Name, err)
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// load reads one source.
func (s *source) load(ctx context.Context, root *os.Root, b *pack.Builder, o Options) (Report, error) {
	report := Report{Source: s.Name}
	parse, err := s.parser(root)
	if err != nil {
		return report, err
	}
	invalid := func(name string, err error) error {
		err = fault.As(fault.Invalid, fmt.Errorf("%q: %w", name, err))
		if !o.SkipInvalid {
			return fault.Hint(err, "mend or remove the record, or build with --skip-invalid, which leaves it out and says so")
		}
		report.Invalid = append(report.Invalid, err.Error())
		return nil
	}
	err = s.each(ctx, root, func(name string, body []byte) error {
		report.Files++
		if o.Progress != nil {
			o.Progress(len(body))
		}
		records, errs := parse(body)
		for _, err := range errs {
			if err := invalid(name, err); err != nil {
				return err
			}
		}
		for _, r := range records {
			added, err := s.add(b, r)
			switch {
			case err != nil:
				if err := invalid(name, err); err != nil {
					return err
				}
			case added:
				report.Records++
			default:
				report.Left++
			}
		}
		return nil
	})
	if err == nil && report.Records == 0 {
		err = fault.Errorf(fault.Invalid, "no record was found in %q", s.Path)
	}
	return report, err
}

// add checks r and hands it to b; a nil record is a file that speaks of no hole.
func (s *source) add(b *pack.Builder, r *advisory.Record) (bool, error) {
	if r == nil {
		return false, nil
	}
	if err := r.Check(); err != nil {
		return false, err
	}
	return b.Add(s.Source, r)
}
