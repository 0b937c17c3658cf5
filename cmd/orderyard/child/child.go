package child

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
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
	Stderr     io.Writer           // gets what the program says on its standard error, besides what is kept; nil = nobody
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
	if o.Stderr != nil {
		p.cmd.Stderr = io.MultiWriter(p.said, o.Stderr)
	}
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

// CPU is what the process and its own children have used so far: unlike a rate it says the same on a machine that others use, too. 0 = unknown.
func (p *Process) CPU() time.Duration {
	sum := cpuOf(p.PID())
	for _, pid := range p.Children() {
		sum += cpuOf(pid)
	}
	return sum
}

// Children are the processes that the process itself has started and that still run.
func (p *Process) Children() (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.PID())) // the pattern is well-formed
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// cpuOf reads one process's user and system time.
func cpuOf(pid int) time.Duration {
	const tick = time.Second / 100 // USER_HZ, the same on every Linux that Go runs on
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // a name may hold blanks
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick
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
