//go:build linux

// The program guest is the first process of the virtual machine: it loads
// modules, mounts the disks, runs what the plan says, and turns the machine off.
package main

import (
	"encoding/json"
	"os"
)

// plan is what plan.json holds.
type plan struct {
	Modules []string // paths in the first root, in order
	Suites  []suite
	Systemd []suite // run by a service of systemd's, after the others
}

// suite is a program that is run in the folder Dir.
type suite struct {
	Name, Dir string
	Args, Env []string
}

func readPlan(file string) (plan, error) {
	var p plan
	b, err := os.ReadFile(file)
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(b, &p)
}
