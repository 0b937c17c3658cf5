package child

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 10 * time.Second

func shell(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start(Options{Argv: []string{"/bin/sh", "-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// TestAwait proves that a line is given whole and that an end before it is told with the last words, by a child that says both.
func TestAwait(t *testing.T) {
	p := shell(t, "printf 'read'; sleep 0.05; echo 'y at 4711'; echo 'no room' >&2; exit 3")
	line, err := p.Await("ready", patience)
	if err != nil || line != "ready at 4711" {
		t.Errorf("got %q, %v", line, err)
	}
	_, err = p.Await("never", patience)
	if err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("an early end does not tell why: %v", err)
	}
	if err := p.Failed(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
}

// TestStderr proves that somebody else can read along what a child complains of, and that it is kept all the same.
func TestStderr(t *testing.T) {
	var heard bytes.Buffer
	p, err := Start(Options{Argv: []string{"/bin/sh", "-c", "echo fine; echo 'no room' >&2; exit 3"}, Stderr: &heard})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ended()
	if failed := p.Failed(); heard.String() != "no room\n" || failed == nil || !strings.Contains(failed.Error(), "no room") {
		t.Errorf("heard %q, kept %v", heard.String(), failed)
	}
}

// TestStopKillsTheStubborn proves that a child which ignores a request to end is gone after the patience, and that ending it twice is harmless.
func TestStopKillsTheStubborn(t *testing.T) {
	p := shell(t, "trap '' TERM; echo up; while :; do sleep 0.05; done")
	if _, err := p.Await("up", patience); err != nil {
		t.Fatal(err)
	}
	p.Stop(syscall.SIGTERM, 50*time.Millisecond)
	p.Kill()
	if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is still there: %v", err)
	}
}

// TestStdin proves that a program gets its configuration by its standard input, where nobody can read it from the list of processes.
func TestStdin(t *testing.T) {
	p, err := Start(Options{Argv: []string{"/bin/cat"}, Stdin: "port 1\n", Dir: os.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if line, err := p.Await("port", patience); err != nil || line != "port 1" {
		t.Errorf("got %q, %v", line, err)
	}
	<-p.Ended()
	if err := p.Failed(); err != nil {
		t.Error(err)
	}
}

// TestCPU proves that the time of a process holds that of its children: a shell lets another one count, while a sleeping one uses nothing.
func TestCPU(t *testing.T) {
	busy := shell(t, "(while :; do :; done) & echo up; wait")
	idle := shell(t, "sleep 60")
	if _, err := busy.Await("up", patience); err != nil {
		t.Fatal(err)
	}
	pids := busy.Children()
	if len(pids) != 1 {
		t.Fatalf("the children are %v", pids)
	}
	defer syscall.Kill(pids[0], syscall.SIGKILL)
	for end := time.Now().Add(patience); busy.CPU() < 50*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a busy child has used %v", busy.CPU())
		}
	}
	if used := idle.CPU(); used > 20*time.Millisecond {
		t.Errorf("a sleeping one %v", used)
	}
}
