package configs_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"orderyard/configs"
)

const key32 = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func parse(t *testing.T, file string, environ ...string) configs.Config {
	t.Helper()
	cfg, warnings, err := configs.Parse(configs.Default(), "f", []byte(file), environ)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	return cfg
}

func refused(t *testing.T, want, file string, environ ...string) {
	t.Helper()
	_, _, err := configs.Parse(configs.Default(), "f", []byte(file), environ)
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// TestTailOfANode proves that what a dying node leaves to read back is bounded: every partition's tail together is at most 256 MiB.
func TestTailOfANode(t *testing.T) {
	c := configs.Default()
	if tail := configs.Bytes(c.Partitions) * c.Checkpoint.TailBytesMax; tail > 256*configs.MiB {
		t.Errorf("%d partitions of %v are %v", c.Partitions, c.Checkpoint.TailBytesMax, tail)
	}
}

// TestNodeNamedByHost proves that an empty name becomes the host's, so that copies of one container differ, by comparing them.
func TestNodeNamedByHost(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	for _, cfg := range []configs.Config{parse(t, "node: {name: \"\"}"), parse(t, "node: {name: a}", "ORDERYARD_NODE_NAME=")} {
		if cfg.Node.Name != strings.ReplaceAll(host, ".", "-") {
			t.Errorf("named %q on host %q", cfg.Node.Name, host)
		}
	}
}

// TestLists proves both spellings of a list, that the environment replaces the file's, and that a complaint names the item.
func TestLists(t *testing.T) {
	const file = "cluster:\n  seeds:\n  - a:1\n  - '[fd00::1]:7946'\n"
	if got, want := parse(t, file).Cluster.Seeds, []string{"a:1", "[fd00::1]:7946"}; !reflect.DeepEqual(got, want) {
		t.Errorf("file gives %q, want %q", got, want)
	}
	if got, want := parse(t, file, "ORDERYARD_CLUSTER_SEEDS=b:2, c:3,d:4,").Cluster.Seeds, []string{"b:2", "c:3", "d:4"}; !reflect.DeepEqual(got, want) {
		t.Errorf("environment gives %q, want %q", got, want)
	}
	if got := parse(t, file, "ORDERYARD_CLUSTER_SEEDS=").Cluster.Seeds; len(got) != 0 {
		t.Errorf("an empty variable leaves %q", got)
	}
	refused(t, `ORDERYARD_CLUSTER_SEEDS: cluster.seeds[1]: must be host:port such as 10.0.0.1:7946, not "c"`, file, "ORDERYARD_CLUSTER_SEEDS=b:2,c")
	refused(t, `ORDERYARD_CLUSTER_PLAIN: cluster.plain: must be true or false, not "1"`, "", "ORDERYARD_CLUSTER_PLAIN=1")
}

// TestSecrets proves that a key may come from a file, and that no way of printing a configuration or its mistakes shows a secret.
func TestSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gossip.key")
	if err := os.WriteFile(file, []byte("\n"+key32+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, "nats:\n  url: nats://me:hunter2@10.0.0.1:4222,tls://other:4222\n", "ORDERYARD_CLUSTER_GOSSIP_KEY=file:"+file)
	key, err := cfg.Cluster.Key()
	if want, _ := base64.StdEncoding.DecodeString(key32); err != nil || string(key) != string(want) {
		t.Errorf("key is %q, %v", key, err)
	}
	if got := cfg.NATS.Shown(); got != "nats://[hidden]@10.0.0.1:4222,tls://other:4222" {
		t.Errorf("shown as %s", got)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("configuration", "cluster", cfg.Cluster, "key", cfg.Cluster.GossipKey)
	asJSON, err := json.Marshal(cfg.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(cfg.Cluster), fmt.Sprintf("%+v", cfg.Cluster), fmt.Sprintf("%#v", cfg.Cluster), log.String(), string(asJSON)} {
		if strings.Contains(text, key32) || !strings.Contains(text, "[hidden]") {
			t.Errorf("printed as %s", text)
		}
	}
	for text, want := range map[string]string{
		strings.Repeat(key32, 1000): "has 44000 bytes, a secret has at most 4096",
		" \n":                       "is empty",
		"x" + key32:                 "must be base64, such as `openssl rand -base64 32` makes",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := configs.Parse(configs.Default(), "f", []byte("cluster:\n  gossip_key: file:"+file), nil)
		if err == nil || !strings.HasPrefix(err.Error(), "f:2:15: cluster.gossip_key: ") || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestPlainIsConsent proves that leaving loopback takes a key and TLS, or the operator's word, and that loopback takes neither.
func TestPlainIsConsent(t *testing.T) {
	parse(t, "cluster: {bind: 'localhost:7946', remote: {bind: '[::1]:7947'}}")
	parse(t, "cluster: {bind: '0.0.0.0:7946', remote: {bind: ':7947'}, plain: true}")
	parse(t, "cluster: {bind: '0.0.0.0:7946'}", "ORDERYARD_CLUSTER_GOSSIP_KEY="+key32)
	for _, file := range []string{"bind: '[::]:7946'", "bind: ':7946'", "bind: 'node:7946'", "advertise: 10.0.0.1:7946", "remote: {bind: '10.0.0.1:7947'}"} {
		if _, _, err := configs.Parse(configs.Default(), "f", []byte("cluster: {"+file+"}"), nil); err == nil || !strings.Contains(err.Error(), "cluster.plain: true") {
			t.Errorf("%s: got %v", file, err)
		}
	}
}

// TestAdvertised proves which address a node tells the others: the written one, the one it listens on, or the one towards NATS; and
// that it refuses to tell one that only this machine can use.
func TestAdvertised(t *testing.T) {
	const open = "cluster: {plain: true, bind: '0.0.0.0:7946', remote: {bind: ':7947'}}\nnats: {url: 'nats://me:secret@%s'}\n"
	cfg := parse(t, "")
	check := func(gossip, remote string) {
		t.Helper()
		g, r, err := cfg.Advertised(context.Background())
		if err != nil || g != gossip || r != remote {
			t.Errorf("got %s %s %v, want %s %s", g, r, err, gossip, remote)
		}
	}
	check("127.0.0.1:7946", "127.0.0.1:7947")
	cfg.Cluster.Bind, cfg.Cluster.Remote.Bind = "127.0.0.1:0", "[::1]:0"
	check("127.0.0.1:0", "[::1]:0")
	cfg.Cluster.Bind, cfg.Cluster.Advertise = "0.0.0.0:7946", "localhost:1"
	check("127.0.0.1:1", "[::1]:0")

	cfg = parse(t, fmt.Sprintf(open, "127.0.0.1:4222"))
	_, _, err := cfg.Advertised(context.Background())
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.HasPrefix(err.Error(), "cluster.advertise must be given: 0.0.0.0:7946 is every address") {
		t.Errorf("towards loopback: %v", err)
	}
	own := ownAddress(t)
	cfg = parse(t, fmt.Sprintf(open, net.JoinHostPort(own, "4222")))
	check(net.JoinHostPort(own, "7946"), net.JoinHostPort(own, "7947"))
	cfg = parse(t, fmt.Sprintf(open, own))
	check(net.JoinHostPort(own, "7946"), net.JoinHostPort(own, "7947"))
}

// ownAddress is an address of this machine that is not loopback.
func ownAddress(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr().String()
		}
	}
	t.Skip("this machine has loopback only: what it would tell others cannot be seen")
	return ""
}
