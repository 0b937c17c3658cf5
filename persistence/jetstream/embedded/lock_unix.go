//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// lockDir takes the lock and writes the process id for whoever is refused. Closing the file gives it back.
func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, lockedBy(f, "stop it first, or use another directory")
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		f.Close()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return f, nil
}

// holdDir keeps servers out of a folder that is only read, without writing to it: the lock file is locked as it lies there. Nobody holds a folder
// without one.
func holdDir(path string) (io.Closer, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, lockedBy(f, "stop it first, or name its server instead of its folder")
	}
	return f, nil
}

// lockedBy says who holds the lock, as far as the file tells.
func lockedBy(f *os.File, advice string) error {
	holder, _ := io.ReadAll(io.LimitReader(f, 32)) // a courtesy only
	return fmt.Errorf("%w by process %s: %s", ErrLocked, strings.TrimSpace(string(holder)), advice)
}
