//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"plimsoll/internal/tools/engines"
)

// outcome is how an attack ended.
type outcome struct {
	Succeeded bool
	How       string // what stopped it: an errno, "refused" (nothing was started), "killed"
	Why       string // in the engine's or the attack program's words, for people
}

// cell is what the table says of it.
func (o outcome) cell() string {
	switch {
	case o.Succeeded:
		return "**succeeds**"
	case o.How == "":
		return "stopped"
	}
	return "stopped: " + o.How
}

var (
	success = outcome{Succeeded: true}
	absent  = outcome{How: "absent"} // the machine has not what it takes
)

func stopped(how, why string) outcome { return outcome{How: how, Why: strings.TrimSpace(why)} }

// said is what the attack program says.
type said struct {
	Succeeded bool
	Errno     string
	Number    int
	Detail    string
}

// parse returns what the attack program said in each line of text.
func parse(text string) []said {
	var all []said
	for line := range strings.Lines(text) {
		var s said
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &s) == nil {
			all = append(all, s)
		}
	}
	return all
}

// judge says how an attack ended by what a docker command printed. Several
// attempts succeeded if one did.
func judge(r engines.Result) outcome {
	all := parse(r.Out)
	if len(all) == 0 {
		switch r.Code {
		case 137:
			return stopped("killed", r.Err)
		case 0:
			return stopped("no answer", r.Out+r.Err)
		}
		return stopped("refused", r.Err)
	}
	for _, s := range all {
		if s.Succeeded {
			return success
		}
	}
	last := all[len(all)-1]
	return stopped(last.Errno, last.Detail)
}

// run runs a container to its end.
func (s *setup) run(ctx context.Context, flags []string, args ...string) engines.Result {
	all := append([]string{"run", "--rm"}, flags...)
	return s.Docker(ctx, append(append(all, image), args...)...)
}

// attack runs the attack program in a container of its own.
func (s *setup) attack(ctx context.Context, flags []string, args ...string) outcome {
	return judge(s.run(ctx, flags, append([]string{"attack"}, args...)...))
}

// start starts a container that stays, and returns its ID, or an outcome if it
// was refused.
func (s *setup) start(ctx context.Context, flags []string, args ...string) (string, *outcome) {
	all := append([]string{"run", "-d"}, flags...)
	r := s.Docker(ctx, append(append(all, image), args...)...)
	if r.Code != 0 {
		o := stopped("refused", r.Err)
		return "", &o
	}
	return strings.TrimSpace(r.Out), nil
}

// exec runs the attack program in a container that runs.
func (s *setup) exec(ctx context.Context, id string, flags []string, args ...string) outcome {
	all := append([]string{"exec"}, flags...)
	return judge(s.Docker(ctx, append(append(all, id, "attack"), args...)...))
}

// logged waits for the attack program to say something in a container's log.
func (s *setup) logged(ctx context.Context, id string) outcome {
	var r engines.Result
	if !eventually(ctx, func() bool {
		r = s.Docker(ctx, "logs", id)
		return len(parse(r.Out)) > 0
	}) {
		return stopped("no answer", r.Out+r.Err)
	}
	return judge(r)
}

// remove removes a container with what it keeps.
func (s *setup) remove(ctx context.Context, ids ...string) {
	all := append([]string{"rm", "-fv"}, ids...)
	s.Docker(ctx, all...)
	if s.chain != nil && s.user == "" { // nobody else removes bob's
		s.as(1).Docker(ctx, all...)
	}
}

// space returns the link of one of the host's namespaces: "net:[4026531840]".
func (s *setup) space(ctx context.Context, kind string) string {
	out, err := s.Host.Run(ctx, "readlink", "/proc/self/ns/"+kind)
	if err != nil {
		return fmt.Sprint(err)
	}
	return strings.TrimSpace(out)
}
