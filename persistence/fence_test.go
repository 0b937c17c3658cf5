package persistence_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orderyard/persistence"
)

// Proves that the build everybody gets has its fence, and that nothing but the fault suite can build without it: the tag's name stands
// in no other file, neither in code nor in whatever builds and ships the program. What the fence does is proven by TestFence.
func TestFencedByDefault(t *testing.T) {
	if !persistence.Fenced {
		t.Error("this build has no fence")
	}
	tag := []byte("no" + "fence") // so that this file does not name it either
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // an editor's file that came and went
			return nil
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "data"):
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(name, ".md") || strings.HasPrefix(filepath.ToSlash(name), "../test/fault/"):
			return nil
		case filepath.Base(name) == "fence_on.go" || filepath.Base(name) == "fence_off.go":
			return nil
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 { // a program, not a text
			return nil
		}
		text, err := os.ReadFile(name)
		if err == nil && bytes.Contains(text, tag) {
			t.Errorf("%s names the build tag without a fence", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
