package main

import (
	"bytes"
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

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"orderyard/configs"
)

// must is for what fails only when the test itself is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func writeFile(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// secured is a NATS server with these options, and behind it somebody with these files who lists no orders.
func secured(t *testing.T, o *server.Options, files configs.NATS) (url string) {
	t.Helper()
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", -1, true, true
	ns := must(server.NewServer(o))
	ns.Start()
	t.Cleanup(ns.Shutdown)
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	conn, err := nats.Connect(ns.ClientURL(), must(natsIdentity(files, nodeIdentity))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	must(conn.Subscribe("oy.v1.order.list", func(m *nats.Msg) { _ = m.Respond([]byte(`{"ok":true,"orders":[]}`)) }))
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return ns.ClientURL()
}

func listOrders(t *testing.T, url string, env map[string]string, args ...string) (code int, said string) {
	t.Helper()
	var out bytes.Buffer
	a := newApp(nil, &out, &out, func(name string) string { return env[name] })
	code = a.execute(t.Context(), append([]string{"order", "list", "--server", url, "--timeout", "2s"}, args...))
	return code, out.String()
}

// TestClientWithKey proves that a client command reaches a NATS server that lets in users with a key alone, by flag and by environment.
func TestClientWithKey(t *testing.T) {
	user := must(nkeys.CreateUser())
	file := writeFile(t, "user.nk", must(user.Seed()))
	url := secured(t, &server.Options{Nkeys: []*server.NkeyUser{{Nkey: must(user.PublicKey())}}}, configs.NATS{NKey: file})
	if code, said := listOrders(t, url, nil, "--nkey", file); code != exitOK {
		t.Errorf("by flag: exit %d, %s", code, said)
	}
	if code, said := listOrders(t, url, map[string]string{"ORDERYARD_NKEY": file}); code != exitOK {
		t.Errorf("by environment: exit %d, %s", code, said)
	}
	if code, said := listOrders(t, url, nil); code != exitUnavailable || !strings.Contains(said, "Authorization Violation") {
		t.Errorf("without: exit %d, %s", code, said)
	}
}

// TestClientWithCredentials proves the same for users with a JWT, which an account has signed and an operator the account.
func TestClientWithCredentials(t *testing.T) {
	operator, account, user := must(nkeys.CreateOperator()), must(nkeys.CreateAccount()), must(nkeys.CreateUser())
	accounts := &server.MemAccResolver{}
	signed := must(jwt.NewAccountClaims(must(account.PublicKey())).Encode(operator))
	if err := accounts.Store(must(account.PublicKey()), signed); err != nil {
		t.Fatal(err)
	}
	claims := must(jwt.NewUserClaims(must(user.PublicKey())).Encode(account))
	file := writeFile(t, "user.creds", must(jwt.FormatUserConfig(claims, must(user.Seed()))))
	url := secured(t, &server.Options{TrustedKeys: []string{must(operator.PublicKey())}, AccountResolver: accounts}, configs.NATS{Creds: file})
	if code, said := listOrders(t, url, nil, "--creds", file); code != exitOK {
		t.Errorf("by flag: exit %d, %s", code, said)
	}
	if code, said := listOrders(t, url, map[string]string{"ORDERYARD_CREDS": file}); code != exitOK {
		t.Errorf("by environment: exit %d, %s", code, said)
	}
	if code, said := listOrders(t, url, nil); code != exitUnavailable {
		t.Errorf("without: exit %d, %s", code, said)
	}
}

// certificates writes an authority, and the certificate and key of both ends that it signs.
func certificates(t *testing.T) configs.TLS {
	t.Helper()
	key := func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }
	text := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, own := key(), key()
	ca := must(x509.CreateCertificate(rand.Reader, authority, authority, &caKey.PublicKey, caKey))
	cert := must(x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, must(x509.ParseCertificate(ca)), &own.PublicKey, caKey))
	return configs.TLS{
		CA: writeFile(t, "ca.pem", text("CERTIFICATE", ca)), Cert: writeFile(t, "cert.pem", text("CERTIFICATE", cert)),
		Key: writeFile(t, "key.pem", text("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(own)))),
	}
}

// TestClientWithTLS proves that a client command reaches a NATS server that speaks TLS and asks for a certificate.
func TestClientWithTLS(t *testing.T) {
	files := certificates(t)
	both := must(files.Load())
	both.Certificates = []tls.Certificate{must(tls.LoadX509KeyPair(files.Cert, files.Key))}
	url := secured(t, &server.Options{TLS: true, TLSVerify: true, TLSConfig: both, TLSTimeout: 5}, configs.NATS{TLS: files})
	if code, said := listOrders(t, url, nil, "--tls-ca", files.CA, "--tls-cert", files.Cert, "--tls-key", files.Key); code != exitOK {
		t.Errorf("by flag: exit %d, %s", code, said)
	}
	env := map[string]string{"ORDERYARD_TLS_CA": files.CA, "ORDERYARD_TLS_CERT": files.Cert, "ORDERYARD_TLS_KEY": files.Key}
	if code, said := listOrders(t, url, env); code != exitOK {
		t.Errorf("by environment: exit %d, %s", code, said)
	}
	if code, said := listOrders(t, url, nil); code != exitUnavailable || !strings.Contains(said, "unknown authority") {
		t.Errorf("without: exit %d, %s", code, said)
	}
}

// TestClientFiles proves that a file which cannot be used is named, as the mistake of the command line that it is, before anybody is asked; and that
// all commands that speak to NATS look at them.
func TestClientFiles(t *testing.T) {
	files := certificates(t)
	bad := writeFile(t, "bad", []byte("nothing\n"))
	for _, c := range []struct {
		want string
		args []string
	}{
		{"--creds: " + bad, []string{"--creds", bad}},
		{"--creds: none.creds", []string{"--creds", "none.creds"}},
		{"--nkey: " + bad, []string{"--nkey", bad}},
		{bad + " holds no certificate", []string{"--tls-ca", bad}},
		{bad + " with " + files.Key, []string{"--tls-cert", bad, "--tls-key", files.Key}},
		{files.Cert + " with " + bad, []string{"--tls-cert", files.Cert, "--tls-key", bad}},
		{"go together", []string{"--tls-cert", files.Cert}},
		{"exclude each other", []string{"--creds", bad, "--nkey", bad}},
	} {
		if code, said := listOrders(t, "nats://127.0.0.1:1", nil, c.args...); code != exitUsage || !strings.Contains(said, c.want) {
			t.Errorf("%v: exit %d, %s", c.args, code, said)
		}
	}
	for _, command := range [][]string{
		{"events"}, {"verify"}, {"rules", "recheck"}, {"rules", "status"}, {"rules", "shadow"}, {"rules", "sweep", "--dry-run"}, {"cluster", "status"},
		{"cluster", "drain", "n"}, {"stock", "get", "A@B"}, {"site", "list"}, {"fulfillment", "list", "--site", "S"},
	} {
		var out bytes.Buffer
		a := newApp(nil, &out, &out, func(string) string { return "" })
		if code := a.execute(t.Context(), append(command, "--server", "nats://127.0.0.1:1", "--nkey", bad)); code != exitUsage || !strings.Contains(out.String(), bad) {
			t.Errorf("%v: exit %d, %s", command, code, out.String())
		}
	}
}
