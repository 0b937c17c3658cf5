package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Build is a way to build the program.
type Build struct {
	// Tags are build tags: "nofence" takes the fence out.
	Tags string
	// Patch changes source files on their way to the compiler and nowhere else: path within the module → what becomes of the text.
	Patch map[string]func(string) (string, error)
}

var (
	builtMu sync.Mutex
	built   = map[string]string{}
)

// programs is the folder of what was built; made when the first is, removed by Clean.
var programs = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "orderyard-fault-bin-") })

// Clean removes what was built. It is for the very end.
func Clean() {
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir) // a temporary folder
	}
}

// Program builds the binary, once per name: the name stands for the way. Without a way, FAULT_SUITE_BINARY may name one that is there.
func Program(name string, b Build) (string, error) {
	builtMu.Lock()
	defer builtMu.Unlock()
	if ready := os.Getenv("FAULT_SUITE_BINARY"); ready != "" && b.Tags == "" && b.Patch == nil {
		return ready, nil
	}
	if path := built[name]; path != "" {
		return path, nil
	}
	dir, err := programs()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "orderyard-"+name)
	args := []string{"build", "-buildvcs=false", "-o", path}
	if b.Tags != "" {
		args = append(args, "-tags", b.Tags)
	}
	if b.Patch != nil {
		overlay, err := b.overlay(filepath.Join(dir, name))
		if err != nil {
			return "", fmt.Errorf("build %s: %w", name, err)
		}
		args = append(args, "-overlay", overlay)
	}
	out, err := exec.Command("go", append(args, "orderyard/cmd/orderyard")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	built[name] = path
	return path, nil
}

// overlay writes the patched files beside the module and the list that the compiler reads.
func (b Build) overlay(dir string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, patch := range b.Patch {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return "", err
		}
		changed, err := patch(string(text))
		if err != nil {
			return "", fmt.Errorf("patch %s: %w", name, err)
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o750), os.WriteFile(target, []byte(changed), 0o640)); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(name))] = target
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, list, 0o640)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// plainEnv is the environment without anything that would configure a child.
func plainEnv() []string {
	var env []string
	for _, one := range os.Environ() {
		if !strings.HasPrefix(one, "ORDERYARD_") && !strings.HasPrefix(one, natsVariable) {
			env = append(env, one)
		}
	}
	return env
}
