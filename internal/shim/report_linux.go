package shim

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// report tells of an error on stderr and, as runtimes do, at the end of the
// engine's log file, from which the engine shows it.
func report(stderr io.Writer, c *call, err error) {
	text := "plimsoll: " + err.Error()
	if hint := fault.HintOf(err); hint != "" {
		text += " (" + hint + ")"
	}
	_, _ = io.WriteString(stderr, text+"\n")
	path := c.globals.last("log")
	if path == "" {
		return
	}
	line, jsonErr := logLine(c.globals.last("log-format"), text, time.Now())
	f, openErr := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOCTTY, 0o600)
	if errors.Join(jsonErr, openErr) != nil {
		return // stderr was told
	}
	_, _ = f.Write(append(line, '\n'))
	_ = f.Close()
}

func logLine(format, text string, now time.Time) ([]byte, error) {
	at := now.UTC().Format(time.RFC3339)
	if format != "json" {
		return []byte("time=" + strconv.Quote(at) + " level=error msg=" + strconv.Quote(text)), nil
	}
	return json.Marshal(struct {
		Level string `json:"level"`
		Msg   string `json:"msg"`
		Time  string `json:"time"`
	}{"error", text, at})
}
