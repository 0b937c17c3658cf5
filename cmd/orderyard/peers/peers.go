package peers

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrMissing says that a peer is not installed; its text says how to install it. A benchmark leaves the peer out.
var ErrMissing = errors.New("is not installed")

const (
	readyWithin = 30 * time.Second
	endsWithin  = 10 * time.Second
	initWithin  = 2 * time.Minute
)

// find looks for a program in the PATH and then where packages hide it; of several versions it takes the newest.
func find(program string, hidden ...string) (string, bool) {
	if path, err := exec.LookPath(program); err == nil {
		return path, true
	}
	for _, pattern := range hidden {
		paths, _ := filepath.Glob(filepath.Join(pattern, program)) // the patterns are ours and well-formed
		slices.SortFunc(paths, func(a, b string) int { return versionIn(b) - versionIn(a) })
		for _, path := range paths {
			if path, err := exec.LookPath(path); err == nil {
				return path, true
			}
		}
	}
	return "", false
}

// Versions asks the installed peers which they are. One that is missing is not named.
func Versions() map[string]string {
	found := map[string]string{}
	for name, find := range map[string]func() (string, bool){"PostgreSQL": findPostgres, "Redis": findRedis} {
		program, ok := find()
		if !ok {
			continue
		}
		if said, err := exec.Command(program, "--version").Output(); err == nil {
			found[name] = strings.TrimSpace(string(said))
		}
	}
	return found
}

// versionIn is the number in a path such as /usr/lib/postgresql/15/bin/postgres.
func versionIn(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // no number sorts last
	return n
}

// freePort finds a port that is free now. Another process may take it before the peer does; then the peer's start fails and says so.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// secret makes a password for one run: other users of the machine can reach a port on loopback, too.
func secret() string { return rand.Text() }

// unprivileged is the user for programs that refuse root; nil when this process is not root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

// ownDir makes a folder that the user can enter and nobody else can read.
func ownDir(dir string, owner *syscall.Credential) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if owner == nil {
		return nil
	}
	if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
		return err
	}
	// The folder above was made for the benchmark by root: others may pass through it, not look around.
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		return err
	}
	return passable(filepath.Dir(dir))
}

// passable says which folder on the way to dir keeps other users out; root's own would.
func passable(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("PostgreSQL does not run as root, and other users cannot pass through %s: choose another folder with --data", dir)
		}
		above := filepath.Dir(dir)
		if above == dir {
			return nil
		}
		dir = above
	}
}

// checkSum compares what was sold and what is left with what was there.
func checkSum(peer string, stock, left, sold, granted int64) error {
	if left+sold != stock || sold != granted {
		return fmt.Errorf("%s: of %d units %d are left and %d sold, %d were granted: the figures are void", peer, stock, left, sold, granted)
	}
	return nil
}
