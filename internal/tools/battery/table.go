//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// row is what an attack came to in each set-up.
type row map[string]outcome

// battle tries attacks on set-ups, the set-ups beside each other, and returns
// the rows by the attacks' IDs. say is told each outcome.
func battle(ctx context.Context, list []attack, setups []*setup, say func(string, ...any)) map[string]row {
	rows := map[string]row{}
	for _, a := range list {
		rows[a.id] = row{}
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, s := range setups {
		all.Go(func() {
			for _, a := range list {
				o := a.try(ctx, s)
				mu.Lock()
				rows[a.id][s.name] = o
				say("%-6s %-4s %-55.55s %s (%.300s)", s.name, a.id, a.title, o.cell(), o.Why)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return rows
}

const head = `# What sealing stops

Written by ` + "`make battery`" + `, which runs every attack on four engines that it
starts itself: *plain* (dockerd and runc), *remap* (the same with
` + "`--userns-remap`" + `), *sealed* (the same dockerd with ` + "`plimsoll-runtime`" + ` as
its default runtime, and nothing else: no proxy in front of the socket, no
plugin) and *guarded* (everything, as ` + "`plimsoll guard install`" + ` leaves it, and the
attackers members of two teams). What stopped an attack is the kernel's error, or
*refused*: nothing was started. A test fails if what is observed differs from this
page.

Rows 23 and 23b: a client may name a runtime of the engine's own; on *sealed* they
are sealed because the engine's services find ` + "`plimsoll-runtime`" + ` under the name
of runc on their PATH. Row 14: this machine's file systems have no project quotas,
so a profile that limits storage starts nothing; where they have, writing ends
with EDQUOT.

An attack that succeeds nowhere is one that the kernel, the engine or runc
stops already; it stays here so that sealing does not bring it back.

| # | attack | plain | remap | sealed | guarded |
| --- | --- | --- | --- | --- | --- |
`

// page returns the table as Markdown.
func page(list []attack, rows map[string]row) string {
	var b strings.Builder
	b.WriteString(head)
	for _, a := range list {
		fmt.Fprintf(&b, "| %s | %s |", a.id, a.title)
		for _, name := range []string{plain, remap, sealed, guarded} {
			o, ok := rows[a.id][name]
			cell := "not run"
			if ok {
				cell = o.cell()
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}
