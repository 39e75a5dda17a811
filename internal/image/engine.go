package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

const (
	defaultEngine = "unix:///var/run/docker.sock"
	maxExport     = 256 << 30 // bytes of one image, as the engine exports it
)

// findInEngine exports an image from the engine's store. The engine makes a
// docker archive of it, which is kept in a temporary file without a name until
// nobody reads it any more. What the archive holds must be what the engine said
// that the name stands for.
func (o *Opener) findInEngine(ctx context.Context, name string) (found, error) {
	e, err := dialEngine(o.Engine)
	if err != nil {
		return found{}, err
	}
	if o.Vouch != nil {
		e.client.Transport = o.Vouch(e.client.Transport)
	}
	defer e.client.CloseIdleConnections()
	id, err := e.resolve(ctx, name)
	if err != nil {
		return found{}, err
	}
	f, err := e.export(ctx, id, o.Progress)
	if err != nil {
		return found{}, fmt.Errorf("export from the engine: %w", err)
	}
	all, err := findInOpened(ctx, f, func() (opened, error) { return unnamed{f}, nil })
	if err != nil {
		return found{}, errors.Join(err, f.Close())
	}
	agrees := all.check
	all.check = func(m *Image) error {
		if id != m.Config.Digest && id != m.Top.Digest && id != m.Manifest.Digest {
			return fault.Errorf(fault.Untrusted, "the engine says that %q is %s, and gave %s", name, id, m.Config.Digest)
		}
		if agrees == nil {
			return nil
		}
		return agrees(m)
	}
	return all, nil
}

// unnamed is a temporary file that several read. It has no name and is closed
// when nothing refers to it any more (see [os.NewFile]), which is when the image
// is not used.
type unnamed struct{ *os.File }

// Close does nothing.
func (unnamed) Close() error { return nil }

// engine is the API of a Docker engine (Engine API, "Images").
type engine struct{ client *http.Client }

func dialEngine(address string) (*engine, error) {
	if address == "" {
		address = defaultEngine
	}
	socket, ok := strings.CutPrefix(address, "unix://")
	if !ok || socket == "" {
		err := fault.Errorf(fault.Usage, "the engine at %q: only sockets of this machine are spoken to", address)
		return nil, fault.Hint(err, "DOCKER_HOST=unix:///var/run/docker.sock; or docker save -o FILE IMAGE there, then docker-archive:FILE")
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &engine{&http.Client{
		Transport:     &http.Transport{DialContext: dial, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// resolve returns the ID of an image: the digest of its config, or of its
// manifest or index if the engine keeps images in containerd's store.
func (e *engine) resolve(ctx context.Context, name string) (ref.Digest, error) {
	body, err := e.get(ctx, "/images/"+name+"/json")
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	b, err := io.ReadAll(io.LimitReader(body, oci.MaxManifest+1))
	switch {
	case err != nil:
		return "", fault.As(fault.Unavailable, err)
	case len(b) > oci.MaxManifest:
		return "", fault.Errorf(fault.Invalid, "the engine's answer is longer than %d bytes", oci.MaxManifest)
	}
	var v struct{ ID string }
	if err := json.Unmarshal(b, &v); err != nil {
		return "", fault.Errorf(fault.Invalid, "the engine's answer about %q: %w", name, err)
	}
	return ref.ParseDigest(v.ID)
}

// export writes the image into a temporary file without a name.
func (e *engine) export(ctx context.Context, id ref.Digest, progress func(int)) (*os.File, error) {
	body, err := e.get(ctx, "/images/"+string(id)+"/get")
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	f, err := temporary()
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(f, &countedReader{ReadCloser: io.NopCloser(io.LimitReader(body, maxExport+1)), ctx: ctx, progress: progress})
	switch {
	case errors.Is(err, syscall.ENOSPC):
		err = fault.Hint(fault.As(fault.Unavailable, err), "the image is written to %q first; TMPDIR names another place", os.TempDir())
	case err != nil:
		err = fault.As(fault.Unavailable, err)
	case n > maxExport:
		err = fault.Errorf(fault.Invalid, "more than %d bytes", int64(maxExport))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}

// temporary makes a file without a name.
func temporary() (*os.File, error) {
	f, err := os.CreateTemp("", "plimsoll-image-*")
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("make temporary file: %w", err))
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlink temporary file: %w", err), f.Close())
	}
	return f, nil
}

// get returns the body of a good answer.
func (e *engine) get(ctx context.Context, path string) (io.ReadCloser, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker"+path, http.NoBody)
	if err != nil {
		return nil, fault.As(fault.Usage, err)
	}
	answer, err := e.client.Do(q)
	if err != nil {
		return nil, unreachable(err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer func() { _ = answer.Body.Close() }()
	var v struct{ Message string }
	b, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10)) // what there is of it
	if json.Unmarshal(b, &v) != nil || v.Message == "" {
		v.Message = answer.Status
	}
	if answer.StatusCode == http.StatusNotFound {
		return nil, fault.Errorf(fault.NotFound, "the engine says: %q", v.Message)
	}
	return nil, fault.Errorf(fault.Unavailable, "the engine says: %q", v.Message)
}

// unreachable gives what kept us from the engine its hint.
func unreachable(err error) error {
	err = fault.As(fault.Unavailable, err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fault.Hint(err, "root, and members of the group docker, may speak to it")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fault.Hint(err, "is the engine running? DOCKER_HOST=unix://SOCKET names another")
	}
	return err
}
