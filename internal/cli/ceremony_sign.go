package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/trust"
)

type answerFlags struct {
	key, out, yes string
	lines, qr     bool
}

func newCeremonySign(env *Env) *cobra.Command {
	var f answerFlags
	cmd := &cobra.Command{
		Use:   "sign FILE",
		Short: "Sign what a ceremony asks of one key, without a network",
		Long: `Sign what a ceremony asks of one key. It needs no network. What is shown first follows from the
bytes that are to be signed, and from nothing else in the file; it must be confirmed on a terminal,
or by --yes with the fingerprint that the person who began the ceremony read out. The answer is a
small file (FILE.KEY.sig); --lines prints it as lines that can be typed elsewhere, and --qr as a QR
code. finish takes any of these forms.`,
		Example: "  plimsoll trust ceremony sign root.ceremony --key 'pkcs11:token=alice;object=root'\n" +
			"  plimsoll trust ceremony sign root.ceremony --key file:alice.pem --lines\n" +
			"  plimsoll trust ceremony sign root.ceremony --key file:alice.pem --yes 7K2QF-3M9DA-X0PZ4-N8VTB-6HJ1C",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return env.ceremonySign(cmd.Context(), args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "URI of the key to sign with")
	flags.StringVar(&f.out, "out", "", "file of the answer (default: FILE.KEY.sig)")
	flags.StringVar(&f.yes, "yes", "", "the ceremony's fingerprint, instead of a confirmation on a terminal")
	flags.BoolVar(&f.lines, "lines", false, "print the answer as lines that can be typed")
	flags.BoolVar(&f.qr, "qr", false, "print the answer as a QR code")
	return cmd
}

func (env *Env) ceremonySign(ctx context.Context, file string, f answerFlags) (err error) {
	if err := env.checkOutput(); err != nil {
		return err
	}
	if f.key == "" {
		return fault.Hint(fault.Errorf(fault.Usage, "no --key is given"), "plimsoll key list shows those that are here")
	}
	c, err := readCeremony(file)
	if err != nil {
		return err
	}
	if err := c.Open(time.Now()); err != nil {
		return err
	}
	if err := env.meetsPins(c); err != nil {
		return err
	}
	if err := env.sayWords(c); err != nil {
		return err
	}
	signer, err := app.Keys(env).Open(ctx, f.key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, signer.Close()) }()
	a, path, err := env.answer(ctx, c, file, signer, f)
	if err != nil {
		return err
	}
	return env.printAnswer(c, file, path, a, f)
}

// meetsPins checks that the ceremony rests on the root keys that are pinned
// here, and says so if none are.
func (env *Env) meetsPins(c *trust.Ceremony) error {
	if c.Starts() {
		return nil
	}
	_, pins, err := env.Settings.Known(c.GUN().Reference())
	switch {
	case fault.Is(err, fault.Untrusted):
		env.Notify(fmt.Sprintf("note: no root keys of %s are pinned on this machine: compare the keys below with those that you know", c.GUN()))
		return nil
	case err != nil:
		return err
	}
	return c.Meets(pins)
}

// sayWords shows what is to be signed, where the result does not go, and what
// the tokens of the root's keys prove. Untrusted if the root claims more.
func (env *Env) sayWords(c *trust.Ceremony) error {
	w := env.Out
	if env.output == "json" {
		w = env.Err
	}
	printWords(w, c.Words())
	makers, err := env.Settings.TokenMakers()
	if err != nil {
		return err
	}
	if err := c.Honest(makers); err != nil {
		return err
	}
	attested, err := env.attestations(c.Claims())
	if err != nil {
		return err
	}
	for _, fingerprint := range slices.Sorted(maps.Keys(attested)) {
		fmt.Fprintf(w, "attested: %s: %s\n", fingerprint, oneLine(attested[fingerprint].words()))
	}
	fmt.Fprintln(w)
	return nil
}

// answer returns the signer's answer and the file that it is written to: the one
// that is there already, or a new one after a person agreed.
func (env *Env) answer(ctx context.Context, c *trust.Ceremony, file string, signer key.Signer, f answerFlags) (*trust.Answer, string, error) {
	fingerprint, err := key.Fingerprint(signer.Public())
	if err != nil {
		return nil, "", err
	}
	documents, err := c.Asked(fingerprint)
	if err != nil {
		return nil, "", err
	}
	path := f.out
	if path == "" {
		path = fmt.Sprintf("%s.%s.sig", file, strings.TrimPrefix(fingerprint, "sha256:")[:16])
	}
	if a, err := writtenAnswer(c, path, fingerprint); err != nil || a != nil {
		return a, path, err
	}
	if err := env.confirmCeremony(ctx, c, "sign "+strings.Join(documents, ", "), f.yes); err != nil {
		return nil, "", err
	}
	a, err := c.Answer(ctx, signer)
	if err != nil {
		return nil, "", err
	}
	b, err := a.Marshal()
	if err != nil {
		return nil, "", err
	}
	return a, path, createFile(path, b)
}

// writtenAnswer returns the answer by the key that lies at path already, so that
// nothing is signed twice; nil if there is no such file.
func writtenAnswer(c *trust.Ceremony, path, fingerprint string) (*trust.Answer, error) {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	answers, err := readAnswers(c, []string{path})
	if err == nil && answers[0].Key() != fingerprint {
		err = fault.Errorf(fault.Conflict, "%q is an answer by another key, %s", path, answers[0].Key())
	}
	if err != nil {
		return nil, fault.Hint(err, "name another file with --out, or remove this one")
	}
	return answers[0], nil
}

// confirmCeremony returns nil if a person agrees: on the terminal, or by the
// fingerprint that they were told.
func (env *Env) confirmCeremony(ctx context.Context, c *trust.Ceremony, what, yes string) error {
	if yes != "" {
		if c.SameFingerprint(yes) {
			return nil
		}
		err := fault.Errorf(fault.Denied, "--yes %q is not the fingerprint of this ceremony, which is %s", yes, c.Fingerprint())
		return fault.Hint(err, "do not sign; ask whoever began the ceremony to read the fingerprint out again")
	}
	ok, err := env.Confirm(ctx, what+"? Type yes if the words and the fingerprint are what you were told")
	if err != nil {
		return fault.Hint(err, "where nobody can be asked: --yes FINGERPRINT")
	}
	if !ok {
		return fault.Errorf(fault.Denied, "not confirmed: nothing was done")
	}
	return nil
}

// Confirm asks a question on the terminal; true if the answer is yes. It is
// Unavailable where nobody can be asked, and when ctx ends before the answer.
func (env *Env) Confirm(ctx context.Context, question string) (bool, error) {
	if !isTerminal(env.In) {
		return false, fault.Errorf(fault.Unavailable, "nobody to ask: standard input is not a terminal")
	}
	env.line.mu.Lock()
	defer env.line.mu.Unlock()
	env.line.clear(env.Err)
	fmt.Fprintf(env.Err, "%s: ", printable(question))
	typed := make(chan string, 1)
	// As in Secret, a read from a terminal cannot be called off.
	go func() {
		text, _ := bufio.NewReader(io.LimitReader(env.In, 64)).ReadString('\n') // the end of input is no yes
		typed <- text
	}()
	select {
	case text := <-typed:
		return strings.EqualFold(strings.TrimSpace(text), "yes"), nil
	case <-ctx.Done():
		return false, fault.Errorf(fault.Unavailable, "%s: %w", question, context.Cause(ctx))
	}
}

func (env *Env) printAnswer(c *trust.Ceremony, file, path string, a *trust.Answer, f answerFlags) error {
	s, err := stateOf(c, file, []*trust.Answer{a})
	if err != nil {
		return err
	}
	code, err := c.Code(a)
	if err != nil {
		return err
	}
	lines, err := c.Print(a)
	if err != nil {
		return err
	}
	s.Answer = &answerState{File: path, Key: a.Key(), Code: code}
	var picture string
	if f.qr {
		if picture, err = qrCode(code); err != nil {
			return err
		}
	}
	return env.print(s, func(w io.Writer) {
		fmt.Fprintf(w, "signed by %s: the answer is %s\n", a.Key(), printable(path))
		if f.lines {
			fmt.Fprintf(w, "\n%s", lines)
		}
		if picture != "" {
			fmt.Fprintf(w, "\n%s", picture)
		}
	})
}
