package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// ErrNoStore says that a folder holds no stream of the wanted names.
var ErrNoStore = errors.New("the folder holds no such streams")

// ErrReplicated says that a stream has several replicas: a server alone does not serve it.
var ErrReplicated = errors.New("the stream has several replicas, and one server alone does not serve it: read it through its running servers")

// alone reads a stream's own description. One that is missing or cannot be read is left to the server.
func alone(dir string) error {
	var described struct {
		Replicas int `json:"num_replicas"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "meta.inf"))
	if err == nil && json.Unmarshal(text, &described) == nil && described.Replicas > 1 {
		return ErrReplicated
	}
	return nil
}

// streamsAt are the places of a server's streams below the folders that people name: the data of a node, a server's store, its jetstream folder.
var streamsAt = []string{"nats/jetstream/*/streams", "jetstream/*/streams", "*/streams"}

// Copy copies the named streams of a stopped server, or of a copy of its folder, into an empty folder that Start can serve. The original is only
// read, and held against whoever would start a server on it meanwhile: ErrLocked when one runs there already. A server that is not of this
// package leaves no lock and cannot be noticed: stop it first, for a copy of files that are being written is worth nothing.
func Copy(from, to string, names ...string) error {
	found, root := "", ""
	for _, at := range streamsAt {
		matches, err := filepath.Glob(filepath.Join(escape(from), at, names[0]))
		if err != nil {
			return fmt.Errorf("copy %s: %w", from, err)
		}
		if len(matches) > 1 {
			return fmt.Errorf("copy %s: %d accounts hold a stream %s, and only one can be meant: name its folder's server", from, len(matches), names[0])
		}
		if len(matches) == 1 {
			found = filepath.Dir(matches[0])
			root = filepath.Dir(filepath.Dir(filepath.Dir(found))) // above jetstream
			break
		}
	}
	if found == "" {
		if _, err := os.Stat(from); err != nil {
			return fmt.Errorf("copy: %w", err)
		}
		return fmt.Errorf("copy %s: %w (%s)", from, ErrNoStore, names[0])
	}
	lock, err := holdDir(filepath.Join(root, lockFile))
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	defer lock.Close()
	for _, name := range names {
		if err := alone(filepath.Join(found, name)); err != nil {
			return fmt.Errorf("copy stream %s of %s: %w", name, from, err)
		}
		err := copyTree(filepath.Join(found, name), filepath.Join(to, "jetstream", "$G", "streams", name))
		if err != nil {
			return fmt.Errorf("copy stream %s of %s: %w", name, from, err)
		}
	}
	return nil
}

// escape keeps a folder's name from being read as a pattern.
func escape(dir string) string {
	var b []byte
	for i := range len(dir) {
		if slices.Contains([]byte(`*?[\`), dir[i]) {
			b = append(b, '\\')
		}
		b = append(b, dir[i])
	}
	return string(b)
}

// copyTree copies folders and plain files; what else there may be is no part of a store. Consumers are left out: they belong to processes.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		within, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && within == "obs":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, within), 0o750)
		case d.Type().IsRegular():
			return copyFile(path, filepath.Join(to, within))
		}
		return nil
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in) // where the file system can share blocks, it does
	return errors.Join(err, out.Close())
}
