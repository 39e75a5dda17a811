package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

func newTrustCeremony(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ceremony",
		Short: "Let several key holders sign, each on a machine without a network",
		Long: `Let several key holders sign one change, each on a machine without a network. One person begins:
that writes a file with exactly what is to be signed. Each holder signs it with their token and
sends a small answer back, as a file, as lines to be typed, or as a QR code. When there are enough,
finish publishes. Everything lies in these files: a ceremony that was interrupted goes on from them,
and a step that is done twice does no harm.`,
		Example: "  plimsoll trust ceremony begin registry.example.com/team/app root.ceremony --renew\n" +
			"  plimsoll trust ceremony sign root.ceremony --key 'pkcs11:token=alice;object=root'\n" +
			"  plimsoll trust ceremony status root.ceremony root.ceremony.*.sig\n" +
			"  plimsoll trust ceremony finish root.ceremony root.ceremony.*.sig",
	}
	cmd.AddCommand(newCeremonyBegin(env), newCeremonySign(env), newCeremonyStatus(env), newCeremonyFinish(env))
	return cmd
}

// ceremonyState is what the commands say about a ceremony.
type ceremonyState struct {
	GUN         ref.GUN      `json:"gun"`
	File        string       `json:"file"`
	ID          string       `json:"ceremony"`
	Fingerprint string       `json:"fingerprint"`
	Until       time.Time    `json:"until"`
	Documents   []string     `json:"documents"`
	Words       []string     `json:"words"`
	Needs       []needState  `json:"needs"`
	Complete    bool         `json:"complete"`
	Answer      *answerState `json:"answer,omitempty"`
	Published   bool         `json:"published"`
}

// needState is a number of signatures that a document takes.
type needState struct {
	Document  string   `json:"document"`
	By        string   `json:"by"`
	Threshold int      `json:"threshold"`
	Signed    []string `json:"signed"`
	Waiting   []string `json:"waiting"`
	Missing   int      `json:"missing"`
}

// answerState is an answer that was written.
type answerState struct {
	File string `json:"file"`
	Key  string `json:"key"`
	Code string `json:"code"`
}

// stateOf describes the ceremony with what the answers bring.
func stateOf(c *trust.Ceremony, file string, answers []*trust.Answer) (ceremonyState, error) {
	needs, err := c.Tally(answers)
	if err != nil {
		return ceremonyState{}, err
	}
	s := ceremonyState{GUN: c.GUN(), File: file, ID: c.ID(), Fingerprint: c.Fingerprint(), Until: c.Until(), Documents: c.Documents(), Words: c.Words(), Complete: true}
	for _, n := range needs {
		one := needState{Document: n.Role, By: n.By, Threshold: n.Threshold, Signed: []string{}, Waiting: []string{}, Missing: n.Missing()}
		for _, k := range n.Keys {
			if k.Signed {
				one.Signed = append(one.Signed, k.Fingerprint)
			} else {
				one.Waiting = append(one.Waiting, k.Fingerprint)
			}
		}
		s.Complete = s.Complete && one.Missing == 0
		s.Needs = append(s.Needs, one)
	}
	return s, nil
}

func printWords(w io.Writer, words []string) {
	for _, line := range words {
		fmt.Fprintln(w, oneLine(line))
	}
}

func printNeeds(w io.Writer, s ceremonyState) {
	for _, n := range s.Needs {
		fmt.Fprintf(w, "%s takes %d of the keys of %s, %d signed\n", printable(n.Document), n.Threshold, printable(n.By), len(n.Signed))
		for _, k := range n.Signed {
			fmt.Fprintf(w, "  signed   %s\n", k)
		}
		for _, k := range n.Waiting {
			fmt.Fprintf(w, "  waiting  %s\n", k)
		}
	}
}

// readCeremony reads and verifies the file of a ceremony.
func readCeremony(path string) (*trust.Ceremony, error) {
	b, err := readNamed(path, trust.MaxCeremony)
	if err != nil {
		return nil, err
	}
	c, err := trust.ParseCeremony(b)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return c, nil
}

// readAnswers reads answers to c, and says of each by its name what is wrong
// with it.
func readAnswers(c *trust.Ceremony, paths []string) ([]*trust.Answer, error) {
	var all []*trust.Answer
	for _, path := range paths {
		b, err := readNamed(path, trust.MaxAnswer)
		if err != nil {
			return nil, err
		}
		a, err := trust.ParseAnswer(b)
		if err == nil {
			err = c.Check(a)
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", path, err)
		}
		all = append(all, a)
	}
	return all, nil
}

// readNamed returns a file that a person named, of at most limit bytes.
func readNamed(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) // #nosec G304 -- the person's own file
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("read %q: %w", path, err))
	}
	if int64(len(b)) > limit {
		return nil, fault.Errorf(fault.Invalid, "%q is longer than %d bytes", path, limit)
	}
	return b, nil
}

// createFile writes a file whole, or not at all; Conflict if there is one of
// that name.
func createFile(path string, b []byte) (err error) {
	part := fmt.Sprintf("%s.%d.part", path, os.Getpid())
	if err := durable.WriteFile(part, b, 0o644); err != nil { // holds nothing secret, and is given to others
		return fault.As(fault.Unavailable, err)
	}
	defer func() { err = errors.Join(err, fault.As(fault.Unavailable, os.Remove(part))) }()
	if err := os.Link(part, path); errors.Is(err, fs.ErrExist) {
		return fault.Hint(fault.Errorf(fault.Conflict, "there is a file %q already", path), "name another one, or remove it")
	} else if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	return fault.As(fault.Unavailable, durable.SyncFolder(parentOf(path)))
}

func parentOf(path string) string {
	if i := strings.LastIndexByte(path, os.PathSeparator); i > 0 {
		return path[:i]
	}
	return "."
}

func newCeremonyStatus(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "status FILE [ANSWER…]",
		Short: "Say what a ceremony changes, and who has not signed yet",
		Long: `Say what a ceremony changes, in words that follow from the bytes to be signed, and whose
signatures are missing. It needs no network. The exit code is 0 if there are enough answers to
finish, and 4 if there are not.`,
		Example: "  plimsoll trust ceremony status root.ceremony\n  plimsoll trust ceremony status root.ceremony root.ceremony.*.sig -o json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := env.checkOutput(); err != nil {
				return err
			}
			c, err := readCeremony(args[0])
			if err != nil {
				return err
			}
			answers, err := readAnswers(c, args[1:])
			if err != nil {
				return err
			}
			s, err := stateOf(c, args[0], answers)
			if err != nil {
				return err
			}
			if err := env.print(s, func(w io.Writer) {
				printWords(w, s.Words)
				fmt.Fprintln(w)
				printNeeds(w, s)
			}); err != nil {
				return err
			}
			if !s.Complete {
				return &exitError{code: exitUntrusted}
			}
			return nil
		},
	}
}
