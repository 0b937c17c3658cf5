//go:build !unix

package embedded

import (
	"io"
	"os"
)

// lockDir keeps a file open. Systems without flock do not refuse a second process here; there the fence alone protects the partitions.
func lockDir(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
}

// holdDir holds nothing there: whoever copies a folder must know that nobody writes to it.
func holdDir(string) (io.Closer, error) { return io.NopCloser(nil), nil }
