package engine

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"plimsoll/internal/fault"
)

// hijack opens a stream between client and engine: an attach, or the start of an
// exec. What the two say after the request was answered goes through as it is;
// when one stops sending, the other hears of it and may still answer.
func (q *request) hijack(path string, body []byte) error {
	upgrade := q.r.Header.Get("Upgrade")
	if upgrade != "" && upgrade != "tcp" || len(q.r.Header.Values("Upgrade")) > 1 {
		return denied("a stream is upgraded to tcp, not to %q", clip(upgrade))
	}
	engine, err := q.p.dial(q.ctx())
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	defer engine.Close()
	// Not the request's context: that ends when the client has no more to send.
	stop := context.AfterFunc(serving(q.ctx()), func() { _ = engine.Close() })
	defer stop()
	from := bufio.NewReader(engine)
	resp, err := q.open(engine, from, path, body, upgrade != "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if !isStream(resp) {
		return q.answer(resp, nil)
	}
	return q.carry(engine, from, resp)
}

// open sends the request that opens a stream and reads the head of the answer.
func (q *request) open(engine net.Conn, from *bufio.Reader, path string, body []byte, upgrade bool) (*http.Response, error) {
	o := outgoing{method: http.MethodPost, path: path, query: q.query.Values, body: bytes.NewReader(body), length: int64(len(body)), kind: "application/json"}
	if body == nil {
		o.body = http.NoBody
		o.kind = "text/plain"
	}
	r, err := q.outgoing(q.ctx(), o)
	if err != nil {
		return nil, err
	}
	defer q.p.Nonces.Forget(r.Header.Get(NonceHeader))
	if upgrade {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "tcp")
	}
	if err := r.Write(engine); err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("the engine: %w", err))
	}
	resp, err := http.ReadResponse(from, r)
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("the engine: %w", err))
	}
	return resp, nil
}

// isStream reports whether the engine has taken the connection over: with the
// status of an upgrade, or, for clients that did not ask for one, with 200 and
// a stream's type.
func isStream(resp *http.Response) bool {
	return resp.StatusCode == http.StatusSwitchingProtocols ||
		resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/vnd.docker.") && resp.ContentLength < 0
}

// carry answers the client and copies both ways until both have ended.
func (q *request) carry(engine net.Conn, from *bufio.Reader, resp *http.Response) error {
	client, buffered, err := http.NewResponseController(q.w).Hijack()
	if err != nil {
		return fault.As(fault.Internal, err)
	}
	q.answered = true
	defer client.Close()
	if _, err := client.Write(streamHead(resp)); err != nil {
		return nil // the client has gone: nothing is left to tell it
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		drain(engine, buffered.Reader, client)
		_ = closeWrite(engine)
	}()
	drain(client, from, engine)
	// The engine has ended: whatever the client still sends has no reader.
	_ = closeWrite(client)
	_ = engine.Close()
	_ = client.Close()
	<-sent
	return nil
}

// drain copies what was read ahead of a connection, and then all that it brings: in
// the kernel where that can be done, else in larger pieces than a reader ahead takes.
func drain(to net.Conn, ahead *bufio.Reader, from net.Conn) {
	if _, err := io.CopyN(to, ahead, int64(ahead.Buffered())); err != nil {
		return // one of the two has gone
	}
	if splice(to, from) {
		return
	}
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 32<<10))
}

// streamHead is the head of the answer that opens a stream, made anew.
func streamHead(resp *http.Response) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n", resp.StatusCode, http.StatusText(resp.StatusCode), streamType(resp))
	if resp.StatusCode == http.StatusSwitchingProtocols {
		b.WriteString("Connection: Upgrade\r\nUpgrade: tcp\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

func streamType(resp *http.Response) string {
	if t := resp.Header.Get("Content-Type"); t == "application/vnd.docker.multiplexed-stream" {
		return t
	}
	return "application/vnd.docker.raw-stream"
}
