package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// dateCommand asks the command date for the time. The suite lies to its clients
// about the time with libfaketime, which gets between a program and the C
// library; a Go program asks the kernel.
func dateCommand(ctx context.Context) (time.Time, error) {
	out, err := exec.CommandContext(ctx, "date", "+%s").Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("ask date for the time: %w", err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask date for the time: it says %q", out)
	}
	return time.Unix(seconds, 0), nil
}
