//go:build linux

// Attack makes one attempt, by name, from inside a container and says in one
// line of JSON how it ended. It carries no payload: what could be written is
// opened and closed again, what is read is a canary that the test made.
//
// As "hold" it does nothing, for ever, like a well-behaved service; as "serve" it
// sends its argument to whoever connects to port 80, and as "get" it prints what
// the address of its argument sends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// result is how an attempt ended.
type result struct {
	Succeeded bool   `json:"succeeded"`
	Errno     string `json:"errno,omitempty"`
	Number    int    `json:"number,omitempty"` // of what was got, where the question is how many
	Detail    string `json:"detail,omitempty"`
}

// attempts are tried by name; an error means stopped.
var attempts = map[string]func(args []string) error{}

func main() {
	name := filepath.Base(os.Args[0])
	args := os.Args[1:]
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	if behave(name, args) {
		return
	}
	attempt, ok := attempts[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "attack: no attempt is called %q\n", name)
		os.Exit(2)
	}
	say(attempt(args))
}

// counted is an outcome whose question is how many.
type counted struct {
	number int
	err    error
}

func (c counted) Error() string { return fmt.Sprint(c.number, " ", c.err) }

func say(err error) {
	r := result{Succeeded: err == nil}
	var c counted
	if errors.As(err, &c) {
		r.Succeeded, r.Number, err = c.err == nil, c.number, c.err
	}
	if err != nil {
		r.Detail = err.Error()
		var no syscall.Errno
		if errors.As(err, &no) {
			r.Errno = unix.ErrnoName(no)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(3)
	}
}

// behave does what is no attack, and reports whether that was asked for.
func behave(name string, args []string) bool {
	switch name {
	case "hold":
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
		<-ended
	case "serve":
		exit(serve(arg(args, 0)))
	case "get":
		exit(get(arg(args, 0)))
	case "request":
		exit(request(args))
	default:
		return false
	}
	return true
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

func serve(text string) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", ":80")
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		_, err = io.WriteString(c, text)
		if err := errors.Join(err, c.Close()); err != nil {
			fmt.Fprintln(os.Stderr, "attack:", err)
		}
	}
}

func get(address string) error {
	c, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.Copy(os.Stdout, c)
	return err
}

func arg(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

func number(args []string, i int) int {
	n, err := strconv.Atoi(arg(args, i))
	if err != nil {
		fmt.Fprintf(os.Stderr, "attack: argument %d is no number: %q\n", i, arg(args, i))
		os.Exit(2)
	}
	return n
}
