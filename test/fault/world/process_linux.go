package world

import (
	"bytes"
	"errors"
	"fmt"
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

// Process is one child.
type Process struct {
	Name    string
	Log     string // the file of all it says
	Began   time.Time
	cmd     *exec.Cmd
	out     *output
	ended   chan struct{}
	stopped bool
}

// spawner starts every child from one thread that never ends: a child is told to die with the thread that started it.
var spawner = sync.OnceValue(func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// start runs a program. Its output goes to a file in dir.
func start(dir, name string, env []string, argv ...string) (*Process, error) {
	file, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Name: name, Log: file.Name(), Began: time.Now(), out: &output{file: file, news: make(chan struct{}, 1)}, ended: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true} // Ctrl-C of a person ends the test, and so the child
	result := make(chan error)
	spawner() <- func() { result <- p.cmd.Start() }
	if err := <-result; err != nil {
		file.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // its state tells how it ended
		file.Close()
		close(p.ended)
	}()
	return p, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Alive says whether the process has not ended.
func (p *Process) Alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Ended is closed when the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// ExitCode is that of an ended process; -1 after a signal.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

func (p *Process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s to %s: %w", s, p.Name, err)
	}
	return nil
}

// Kill is kill -9; it returns when the process is gone. A paused one dies, too.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// Pause stops the process in the middle of whatever it does; Resume lets it go on. It returns when every thread stands still.
func (p *Process) Pause() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		if err != nil {
			return fmt.Errorf("pause %s: %w", p.Name, err)
		}
		if _, rest, ok := bytes.Cut(stat, []byte(") ")); ok && len(rest) > 0 && rest[0] == 'T' {
			p.stopped = true
			return nil
		}
	}
	return fmt.Errorf("%s does not stop", p.Name)
}

// Resume ends a pause.
func (p *Process) Resume() error {
	p.stopped = false
	return p.signal(syscall.SIGCONT)
}

// Terminate asks the process to end and waits for it.
func (p *Process) Terminate(within time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(within):
		return fmt.Errorf("%s did not end within %v", p.Name, within)
	}
}

// Said is everything so far, bounded to its end.
func (p *Process) Said() string { return p.out.text() }

// Await waits until the process has said something that contains the words.
func (p *Process) Await(words string, within time.Duration) error {
	late := time.After(within)
	for {
		if strings.Contains(p.Said(), words) {
			return nil
		}
		select {
		case <-p.out.news:
		case <-p.ended:
			if strings.Contains(p.Said(), words) {
				return nil
			}
			return fmt.Errorf("%s ended before it said %q:\n%s", p.Name, words, p.Said())
		case <-late:
			return fmt.Errorf("%s did not say %q within %v:\n%s", p.Name, words, within, p.Said())
		}
	}
}

// output writes to a file and keeps the end.
type output struct {
	file *os.File
	news chan struct{}
	mu   sync.Mutex
	tail []byte
}

const tailMax = 64 << 10

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	o.tail = append(o.tail, b...)
	if cut := len(o.tail) - tailMax; cut > tailMax {
		o.tail = append(o.tail[:0], o.tail[cut:]...)
	}
	o.mu.Unlock()
	select {
	case o.news <- struct{}{}:
	default:
	}
	return o.file.Write(b)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.tail)
}

// lastLines gives the end of a text, without the ends of very long lines.
func lastLines(text string, n int) string {
	const letters = 400
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = lines[max(len(lines)-n, 0):]
	for i, line := range lines {
		if len(line) > letters {
			lines[i] = line[:letters] + "…"
		}
	}
	return strings.Join(lines, "\n")
}

// Resident is the memory that the process has at the moment, in bytes. It asks the kernel, not the process.
func (p *Process) Resident() (int64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm %q", statm)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
