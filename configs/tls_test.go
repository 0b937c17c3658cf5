package configs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orderyard/configs"
)

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	draft := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := a.sign(draft, draft, a.key)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = writePEM(t, filepath.Join(t.TempDir(), "ca.pem"), "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(draft, parent *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, draft, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

// issue writes a certificate and its key into dir, over those that are there.
func (a *authority) issue(dir, name string, serial int64, uses ...x509.ExtKeyUsage) configs.TLS {
	a.t.Helper()
	if len(uses) == 0 {
		uses = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	key := newKey(a.t)
	der := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: uses,
	}, a.cert, key)
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return configs.TLS{
		Cert: writePEM(a.t, filepath.Join(dir, "cert.pem"), "CERTIFICATE", der),
		Key:  writePEM(a.t, filepath.Join(dir, "key.pem"), "EC PRIVATE KEY", private),
		CA:   a.file, ServerName: "orderyard",
	}
}

func writePEM(t *testing.T, path, kind string, der []byte) string {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// shake connects two ends and gives the serial number of the certificate that the client saw.
func shake(t *testing.T, server, client *tls.Config) (serial int64, err error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // a pipe without a buffer would stop both ends when both have an alert to send
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	deadline := time.Now().Add(10 * time.Second)
	answered := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			answered <- err
			return
		}
		defer conn.Close()
		conn.SetDeadline(deadline)
		s := tls.Server(conn, server)
		if err = s.Handshake(); err == nil {
			_, err = s.Write([]byte("x")) // a client knows only now that its certificate was taken
		}
		answered <- err
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(deadline)
	c := tls.Client(conn, client)
	if err = c.Handshake(); err == nil {
		serial = c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
		_, err = c.Read(make([]byte, 1))
	}
	conn.Close()
	if e := <-answered; e != nil {
		err = e
	}
	return serial, err
}

func load(t *testing.T, files configs.TLS) *tls.Config {
	t.Helper()
	cfg, err := files.Load()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestMutualTLS proves that two nodes of one authority reach each other, and that each end refuses an authority it does not know, a
// certificate of its own authority under another name, and none at all.
func TestMutualTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	node := load(t, ours.issue(t.TempDir(), "orderyard", 7))
	if serial, err := shake(t, node, load(t, ours.issue(t.TempDir(), "orderyard", 8))); err != nil || serial != 7 {
		t.Fatalf("two nodes: serial %d, %v", serial, err)
	}
	strangerFiles := theirs.issue(t.TempDir(), "orderyard", 9)
	strangerFiles.CA = ours.file // it knows us; do we know it?
	other := ours.issue(t.TempDir(), "warehouse", 10)
	nobody := load(t, configs.TLS{CA: ours.file, ServerName: "orderyard"})
	for name, peer := range map[string]*tls.Config{"stranger": load(t, strangerFiles), "other name": load(t, other), "nobody": nobody} {
		if _, err := shake(t, node, peer); err == nil {
			t.Errorf("%s was let in", name)
		}
		if peer == nobody {
			continue // has nothing to serve with
		}
		if _, err := shake(t, peer, node); err == nil {
			t.Errorf("%s was talked to", name)
		}
	}
	if cfg, err := (configs.TLS{ServerName: "orderyard"}).Load(); cfg != nil || err != nil {
		t.Errorf("no files give %v, %v", cfg, err)
	}
}

// TestRenewal proves that a renewed certificate is shown without a restart, and that half a renewal leaves the last good one.
func TestRenewal(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	files := ca.issue(dir, "orderyard", 1)
	node, peer := load(t, files), load(t, ca.issue(t.TempDir(), "orderyard", 99))
	seen := func(want int64) {
		t.Helper()
		if serial, err := shake(t, node, peer); err != nil || serial != want {
			t.Errorf("serial %d, %v; want %d", serial, err, want)
		}
	}
	seen(1)
	ca.issue(dir, "orderyard", 2)
	seen(2)
	if err := os.WriteFile(files.Key, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	seen(2)
	ca.issue(dir, "orderyard", 3)
	seen(3)
}

// TestTLSAtStart proves that a certificate the other nodes would refuse stops the start, with the line of its key.
func TestTLSAtStart(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	try := func(files configs.TLS) error {
		file := "cluster:\n  remote:\n    bind: 0.0.0.0:7947\n    tls:\n      cert: " + files.Cert + "\n      key: " + files.Key + "\n      ca: " + files.CA + "\n"
		_, _, err := configs.Parse(configs.Default(), "f", []byte(file), nil)
		return err
	}
	good := ours.issue(t.TempDir(), "orderyard", 1)
	if err := try(good); err != nil {
		t.Errorf("a good one: %v", err)
	}
	stranger, mixed := good, good
	stranger.CA = theirs.file
	mixed.Key = ours.issue(t.TempDir(), "orderyard", 2).Key
	for want, files := range map[string]configs.TLS{
		"would be refused by the other nodes: x509: certificate signed by unknown authority": stranger,
		"cannot be used: tls: private key does not match public key":                         mixed,
		"would be refused by the other nodes: x509: certificate is valid for warehouse":      ours.issue(t.TempDir(), "warehouse", 3),
		"would be refused by the other nodes: x509: certificate specifies an incompatible":   ours.issue(t.TempDir(), "orderyard", 4, x509.ExtKeyUsageServerAuth),
	} {
		if err := try(files); err == nil || !strings.HasPrefix(err.Error(), "f:5:13: cluster.remote.tls.cert: "+want) {
			t.Errorf("got %v\nwant …%s", err, want)
		}
	}
}
