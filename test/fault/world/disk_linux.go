package world

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Disk is a small disk of its own, in memory.
type Disk struct{ dir string }

// rubbish is what fills it.
const rubbish = "rubbish"

// DisksAllowed says whether this machine lets us mount disks, and why not.
func DisksAllowed() error {
	dir, err := os.MkdirTemp("", "orderyard-fault-disk-")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	if err := mount(dir, 1<<20); err != nil {
		return fmt.Errorf("a disk that can be full needs root and mount: %w", err)
	}
	return syscall.Unmount(dir, 0)
}

func mount(dir string, bytes int64) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
}

// disk mounts one at a folder, which is made; nil when the world has none.
func (w *World) disk(dir string) (*Disk, error) {
	if w.o.DiskBytes == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	if err := mount(dir, w.o.DiskBytes); err != nil {
		return nil, fmt.Errorf("mount a disk at %s: %w", dir, err)
	}
	d := &Disk{dir: dir}
	w.disks = append(w.disks, d)
	return d, nil
}

// Fill writes until there is no room.
func (d *Disk) Fill() error {
	file, err := os.OpenFile(filepath.Join(d.dir, rubbish), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	defer file.Close()
	for size := 1 << 20; size > 0; {
		if _, err = file.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Empty makes room again.
func (d *Disk) Empty() error { return os.Remove(filepath.Join(d.dir, rubbish)) }

// remove takes the disk away once its users have ended; what a failed test left on it is kept beside.
func (d *Disk) remove(keep bool) {
	if keep {
		_ = d.Empty()
		_ = os.CopyFS(d.dir+".kept", os.DirFS(d.dir)) // as much as can be
	}
	_ = syscall.Unmount(d.dir, syscall.MNT_DETACH)
}
