package embedded_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"orderyard/persistence/jetstream/embedded"
)

// TestMain lets the test binary be the other process: it holds a directory until its standard input ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ORDERYARD_TEST_HOLD"); dir != "" {
		srv, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly})
		if err != nil {
			fmt.Println("refused:", err)
			os.Exit(1)
		}
		fmt.Println("holding")
		bufio.NewReader(os.Stdin).ReadByte() // until the parent closes it
		srv.Shutdown()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Proves that a second process on one directory is refused with a sentence that names the first, and let in when the first was killed.
func TestLockedByAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "ORDERYARD_TEST_HOLD="+dir)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "holding\n" {
		t.Fatalf("the child said %q", line)
	}
	_, err = embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly})
	if !errors.Is(err, embedded.ErrLocked) || !strings.Contains(err.Error(), strconv.Itoa(child.Process.Pid)) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("told %v", err)
	}
	child.Process.Kill()
	child.Wait()
	srv, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly})
	if err != nil {
		t.Fatalf("after the other was killed: %v", err)
	}
	srv.Shutdown()
}

// Proves that one process cannot start two servers on a directory either, and can start the next after Shutdown.
func TestLockedBySelf(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		srv, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly}); !errors.Is(err, embedded.ErrLocked) {
			t.Fatalf("told %v", err)
		}
		srv.Shutdown()
		srv.Shutdown()
	}
}

// Proves that a taken port ends the start with the port in the message, and leaves the directory free.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	dir := t.TempDir()
	_, err = embedded.Start(embedded.Options{Dir: dir, Port: port})
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("told %v", err)
	}
	srv, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly})
	if err != nil {
		t.Fatal(err)
	}
	srv.Shutdown()
}

// Proves the three kinds of port: chosen, any, none; and that clients get through where there is one.
func TestPorts(t *testing.T) {
	any, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	url := any.ClientURL()
	nc, err := any.Connect()
	if err != nil || !strings.HasPrefix(url, "nats://127.0.0.1:") || strings.HasSuffix(url, ":0") {
		t.Fatalf("listens at %q, %v", url, err)
	}
	if nc.MaxPayload() != embedded.MaxPayloadDefault {
		t.Fatalf("maximum payload %d", nc.MaxPayload())
	}
	nc.Close()
	any.Shutdown()

	port, _ := strconv.Atoi(url[strings.LastIndexByte(url, ':')+1:])
	chosen, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: port, SyncAlways: true})
	if err != nil {
		t.Fatal(err)
	}
	if chosen.ClientURL() != url || !chosen.SyncAlways() {
		t.Fatalf("listens at %s, synced %v", chosen.ClientURL(), chosen.SyncAlways())
	}
	chosen.Shutdown()

	none, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: embedded.InProcessOnly})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Shutdown()
	if none.ClientURL() != "" {
		t.Fatalf("listens at %s", none.ClientURL())
	}
	if nc, err = none.Connect(); err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

// Proves that a directory that cannot be used is told at once, with its name.
func TestBadDirectory(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file} {
		if _, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly}); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%q: told %v", dir, err)
		}
	}
}
