package configs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
)

// TLS names the files, all PEM, by which one end of a connection proves itself and knows the other.
type TLS struct {
	Cert       string `yaml:"cert"` // this end's certificate, then its intermediates
	Key        string `yaml:"key"`  // its private key
	CA         string `yaml:"ca"`   // who signs the other end's certificate; empty = the machine's own list
	ServerName string `yaml:"server_name"`
}

// Used reports whether any file is given.
func (t TLS) Used() bool { return t.Cert != "" || t.Key != "" || t.CA != "" }

// Load reads the files; nil when none is given. The result serves both ends, and more than once: as a server's it asks for a certificate
// signed by CA, as a client's it shows its own. With a ServerName the other end's certificate must carry that name, in either
// direction, whatever address was dialed: addresses of nodes change, and a CA may sign for others too. Cert and Key are read again for
// every handshake, so that a renewed certificate needs no restart (while they cannot be read, or do not fit each other, the last good
// pair stands); a new CA does.
func (t TLS) Load() (*tls.Config, error) {
	if !t.Used() {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: t.ServerName}
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("load TLS: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("load TLS: %s holds no certificate in PEM", t.CA)
		}
		cfg.RootCAs, cfg.ClientCAs, cfg.ClientAuth = pool, pool, tls.RequireAndVerifyClientCert
	}
	if t.Cert != "" {
		p := &pair{cert: t.Cert, key: t.Key}
		if _, err := p.load(); err != nil {
			return nil, fmt.Errorf("load TLS: %s with %s: %w", t.Cert, t.Key, err)
		}
		cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.load() }
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.load() }
	}
	if t.ServerName != "" {
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("the other end shows no certificate")
			}
			return s.PeerCertificates[0].VerifyHostname(t.ServerName)
		}
	}
	return cfg, nil
}

// proves says why another node with the same CA and ServerName would refuse the certificate of this one; nil when it would not.
func (t TLS) proves() error {
	own, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return err
	}
	cfg, err := t.Load()
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, der := range own.Certificate[1:] {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		between.AddCert(cert)
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} { // a node is both ends
		_, err := own.Leaf.Verify(x509.VerifyOptions{
			DNSName: t.ServerName, Roots: cfg.RootCAs, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{use},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pair is a certificate with its key, read when somebody asks.
type pair struct {
	cert, key string

	mu   sync.Mutex
	good *tls.Certificate
}

func (p *pair) load() (*tls.Certificate, error) {
	fresh, err := tls.LoadX509KeyPair(p.cert, p.key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.good = &fresh
	}
	if p.good == nil {
		return nil, err
	}
	return p.good, nil
}
