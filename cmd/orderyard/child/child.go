package child

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say what to start.
type Options struct {
	Argv       []string // the program and its arguments. Required
	Dir        string   // where it runs; "" = here
	Env        []string // nil = this process's own
	Stdin      string
	Credential *syscall.Credential // nil = this process's own user
}

// Process is one running or ended child. It may be used concurrently.
type Process struct {
	name  string
	cmd   *exec.Cmd
	said  *said
	ended chan struct{}
}

// spawner starts every child from one thread that never ends: a child is told to die with the thread that started it.
var spawner = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// Start starts a program and does not wait for anything.
func Start(o Options) (*Process, error) {
	p := &Process{name: filepath.Base(o.Argv[0]), said: &said{news: make(chan struct{}, 1)}, ended: make(chan struct{})}
	p.cmd = exec.Command(o.Argv[0], o.Argv[1:]...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = o.Dir, o.Env, p.said, p.said
	if o.Stdin != "" {
		p.cmd.Stdin = strings.NewReader(o.Stdin)
	}
	// Its own group: Ctrl-C of a person ends this process, which ends its children in the right order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Credential: o.Credential}
	p.cmd.WaitDelay = time.Second // a grandchild may hold the output open
	started := make(chan error)
	spawner() <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // Failed tells how it ended
		close(p.ended)
	}()
	return p, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Failed tells how an ended process failed; nil when it did not, or still runs.
func (p *Process) Failed() error {
	select {
	case <-p.ended:
	default:
		return nil
	}
	if p.cmd.ProcessState.Success() {
		return nil
	}
	return fmt.Errorf("%s: %s: %s", p.name, p.cmd.ProcessState, p.said.last())
}

// Kill is kill -9; it returns when the process is gone. A second call does nothing.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// Stop asks the process to end by the signal and kills it when it has not done so in time.
func (p *Process) Stop(signal syscall.Signal, within time.Duration) {
	_ = p.cmd.Process.Signal(signal) // it may have ended by itself
	select {
	case <-p.ended:
	case <-time.After(within):
		p.Kill()
	}
}

// Await gives the first line that contains the words, as soon as it was said.
func (p *Process) Await(words string, within time.Duration) (string, error) {
	late := time.After(within)
	for {
		if line, found := p.said.find(words); found {
			return line, nil
		}
		select {
		case <-p.said.news:
		case <-p.ended:
			if line, found := p.said.find(words); found {
				return line, nil
			}
			return "", fmt.Errorf("%s ended before it said %q: %s", p.name, words, p.said.last())
		case <-late:
			return "", fmt.Errorf("%s did not say %q within %v: %s", p.name, words, within, p.said.last())
		}
	}
}

// said keeps the end of what a child said; far more than a program says until it is ready.
type said struct {
	news chan struct{}
	mu   sync.Mutex
	text []byte
}

const saidMax = 64 << 10

// Write implements io.Writer.
func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	s.text = append(s.text, b...)
	if len(s.text) > 2*saidMax {
		s.text = append(s.text[:0], s.text[len(s.text)-saidMax:]...)
	}
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
	return len(b), nil
}

// find looks at whole lines only: half an address would be a wrong one.
func (s *said) find(words string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range bytes.Lines(s.text) {
		if bytes.HasSuffix(line, []byte("\n")) && bytes.Contains(line, []byte(words)) {
			return string(bytes.TrimSpace(line)), true
		}
	}
	return "", false
}

// last is the end of it, as one line.
func (s *said) last() string {
	const lines, letters = 8, 1000
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Split(strings.TrimSpace(string(s.text)), "\n")
	text := strings.Join(all[max(len(all)-lines, 0):], " · ")
	return text[max(len(text)-letters, 0):]
}
