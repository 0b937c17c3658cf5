package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"orderyard/configs"
)

const root = "../.."

// closeWithin is what a node may take to stop after its drain: doors, actors, connections.
const closeWithin = 20

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// load is configs.Parse as a production node calls it: an error or a warning fails the test.
func load(t *testing.T, name string, file []byte, environ []string) configs.Config {
	t.Helper()
	cfg, warnings, err := configs.Parse(configs.Default(), name, file, environ)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v\n%s", err, strings.Join(warnings, "\n"))
	}
	return cfg
}

// memory reads a size as Go, Compose's loader or Kubernetes writes it: 1500MiB, 2Gi.
func memory(t *testing.T, text string) configs.Bytes {
	t.Helper()
	size, err := configs.ParseBytes(strings.TrimSuffix(text, "B") + "B")
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// natsImage is the image of the NATS server whose library go.mod has, and which every test of this project runs against.
func natsImage(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`nats-io/nats-server/v2 v(\S+)`).FindSubmatch(read(t, "go.mod"))
	if m == nil {
		t.Fatal("go.mod names no NATS server")
	}
	return "nats:" + string(m[1]) + "-alpine"
}

// TestCommands proves that every command line of the image, of Compose and of Kubernetes is one the real binary knows, by asking it for
// the help of each, and that the build argument VERSION is what it answers to --version.
func TestCommands(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "orderyard")
	image := readImage(t)
	ldflags := strings.ReplaceAll(image.ldflags(t), "$VERSION", "v9.8.7")
	build := exec.Command("go", "build", "-ldflags", ldflags, "-o", bin, "./cmd/orderyard")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(bin, "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "v9.8.7") {
		t.Errorf("--version: %v, %s", err, out)
	}
	lines := map[string][]string{
		"Dockerfile CMD":           image.cmd,
		"Dockerfile HEALTHCHECK":   image.health[1:],
		"Compose":                  project(t).Services["orderyard"].Command,
		"Kubernetes":               manifest[deployment](t, "Deployment", "orderyard").Spec.Template.Spec.Containers[0].Args,
		"README of deploy, status": {"cluster", "status"},
		"README of deploy, drain":  {"cluster", "drain"},
	}
	for where, args := range lines {
		out, err := exec.Command(bin, append(args[:len(args):len(args)], "--help")...).CombinedOutput()
		command := strings.Join(args, " ")
		if i := strings.Index(command, " -"); i >= 0 {
			command = command[:i]
		}
		if err != nil || !strings.Contains(string(out), "orderyard "+command) {
			t.Errorf("%s: `orderyard %s`: %v\n%s", where, strings.Join(args, " "), err, out)
		}
	}
}
