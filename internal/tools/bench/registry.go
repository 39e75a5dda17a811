package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"plimsoll/internal/tools/registry"
)

// tlsRegistry is a registry on loopback that speaks TLS and counts bytes.
type tlsRegistry struct {
	address string
	moved   atomic.Int64 // bytes of all connections, both ways
	server  *http.Server
}

// startRegistry serves a registry with the certificate in b's folder until it is
// closed.
func (b *bench) startRegistry(ctx context.Context) (*tlsRegistry, error) {
	pair, err := tls.LoadX509KeyPair(b.certificate(), b.privateKey())
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	r := &tlsRegistry{address: listener.Addr().String()}
	r.server = &http.Server{
		Handler:           registry.New(filepath.Join(b.dir, "registry")),
		ReadHeaderTimeout: 10 * time.Second,
		// The registry inside takes one upload after the other: those of one HTTP/2
		// connection would wait for each other for ever.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		TLSConfig:    &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}
	go func() { _ = r.server.ServeTLS(&counter{listener, &r.moved}, "", "") }() // it ends with Close
	return r, nil
}

func (b *bench) certificate() string { return filepath.Join(b.dir, "server.pem") }
func (b *bench) privateKey() string  { return filepath.Join(b.dir, "server.key") }

// makeCertificate writes a certificate for loopback that vouches for itself.
func (b *bench) makeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	for path, block := range map[string]*pem.Block{
		b.certificate(): {Type: "CERTIFICATE", Bytes: certificate},
		b.privateKey():  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
	}
	return nil
}

// counter is a listener that counts what its connections move.
type counter struct {
	net.Listener
	moved *atomic.Int64
}

func (c *counter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	return &countedConn{conn, c.moved}, err
}

type countedConn struct {
	net.Conn
	moved *atomic.Int64
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.moved.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.moved.Add(int64(n))
	return n, err
}
