package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/random"

	"plimsoll/internal/tools/debian"
)

const verifyRuns = 30

// notary is Debian's notary: its client, and its server on loopback with
// everything in memory.
type notary struct {
	dir, url, certificate string
	server                *exec.Cmd
}

// startNotary unpacks Debian's package, installing nothing, and starts its
// server with b's certificate.
func (b *bench) startNotary(ctx context.Context) (*notary, error) {
	n := &notary{dir: filepath.Join(b.dir, "notary"), certificate: b.certificate()}
	m, err := debian.ThisMachine(ctx)
	if err != nil {
		return nil, err
	}
	root, err := debian.HostRoot(ctx, m, b.cache, func(string, ...any) {})
	if err != nil {
		return nil, err
	}
	packages, err := root.Find(ctx, "notary") // it needs nothing but the C library
	if err != nil {
		return nil, err
	}
	if err := root.Unpack(ctx, packages, n.dir); err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	n.url = "https://" + address
	config := filepath.Join(n.dir, "server.json")
	text := fmt.Sprintf(`{"server":{"http_addr":%q,"tls_key_file":%q,"tls_cert_file":%q},
		"trust_service":{"type":"local"},"storage":{"backend":"memory"},"logging":{"level":"error"}}`, address, b.privateKey(), b.certificate())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write notary's configuration: %w", err)
	}
	n.server = exec.CommandContext(ctx, filepath.Join(n.dir, "usr/bin/notary-server"), "-config="+config)
	var log bytes.Buffer
	n.server.Stderr = &log
	if err := n.server.Start(); err != nil {
		return nil, fmt.Errorf("start notary-server: %w", err)
	}
	if err := waitFor(ctx, address); err != nil {
		return nil, errors.Join(err, n.close(), errors.New(log.String()))
	}
	return n, nil
}

func (n *notary) close() error {
	err := n.server.Process.Kill()
	_ = n.server.Wait() // it was killed
	return err
}

// freeAddress returns an address of loopback that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen on loopback: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// waitFor waits until somebody listens at address.
func waitFor(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for notary-server: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// run runs the client.
func (n *notary) run(ctx context.Context, b *bench, args ...string) (sample, error) {
	common := []string{"-s", n.url, "-d", filepath.Join(n.dir, "data"), "--tlscacert", n.certificate}
	return b.measure(ctx, n.dir, filepath.Join(n.dir, "usr/bin/notary"), append(common, args...)...)
}

// verifies compares warm verifications by whole processes, in turn.
func (b *bench) verifies(ctx context.Context) ([]row, error) {
	n, err := b.startNotary(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = n.close() }()
	content := filepath.Join(b.dir, "content")
	if err := os.WriteFile(content, []byte(strings.Repeat("x", 1000)), 0o600); err != nil {
		return nil, fmt.Errorf("write content: %w", err)
	}
	for _, args := range [][]string{{"init", "-p", "bench/app"}, {"add", "-p", "bench/app", "v1", content}} {
		if _, err := n.run(ctx, b, args...); err != nil {
			return nil, err
		}
	}
	p, reader, err := b.signedOne(ctx)
	if err != nil {
		return nil, err
	}
	var ours, theirs []sample
	for i := range verifyRuns + 1 {
		o, err := p.verify(ctx, reader, "v1")
		if err != nil {
			return nil, err
		}
		t, err := n.run(ctx, b, "verify", "-q", "-i", content, "bench/app", "v1")
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first warms both up
			ours, theirs = append(ours, o), append(theirs, t)
		}
	}
	return []row{
		{"verify over TLS, warm, start to end", round(wall(ours)), ""},
		{"notary verify, the same", round(wall(theirs)), ""},
		{"verify ÷ notary verify", fmt.Sprintf("%.2f", float64(wall(ours))/float64(wall(theirs))), "≤ 1"},
	}, nil
}

// signedOne signs one image and returns a reader of it.
func (b *bench) signedOne(ctx context.Context) (*publisher, string, error) {
	p, err := b.newPublisher(ctx, "one")
	if err != nil {
		return nil, "", err
	}
	base, err := random.Image(1000, 1)
	if err != nil {
		return nil, "", fmt.Errorf("make image: %w", err)
	}
	if err := p.push(ctx, base, "v1"); err != nil {
		return nil, "", err
	}
	if _, err := p.sign(ctx, "v1"); err != nil {
		return nil, "", err
	}
	reader, err := p.newReader()
	return p, reader, err
}
