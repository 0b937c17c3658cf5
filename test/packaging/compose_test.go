package packaging

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"orderyard/configs"
)

const gossipKey = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func tryProject(environment types.Mapping) (*types.Project, error) {
	dir, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	return loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: dir, ConfigFiles: types.ToConfigFiles([]string{filepath.Join(dir, "docker-compose.yml")}), Environment: environment,
	})
}

// project is docker-compose.yml as Compose understands it: validated against the specification's schema, filled in and consistent.
func project(t *testing.T) *types.Project {
	t.Helper()
	p, err := tryProject(types.Mapping{"ORDERYARD_CLUSTER_GOSSIP_KEY": gossipKey, "ORDERYARD_VERSION": "v1"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func natsServices(p *types.Project) (names []string) {
	for name := range p.Services {
		if strings.HasPrefix(name, "nats") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestComposeAsksForKey proves that nobody starts the cluster with a key that others know: without one Compose stops and says how to
// make it.
func TestComposeAsksForKey(t *testing.T) {
	_, err := tryProject(nil)
	if err == nil || !strings.Contains(err.Error(), "openssl rand -base64 32") {
		t.Errorf("got %v", err)
	}
}

// composeConfig is what a node reads in its container.
func composeConfig(t *testing.T, p *types.Project) configs.Config {
	t.Helper()
	var environ []string
	for name, value := range p.Services["orderyard"].Environment {
		if value == nil {
			t.Errorf("%s is taken from the shell of whoever starts it", name)
			continue
		}
		environ = append(environ, name+"="+*value)
	}
	return load(t, "", nil, environ)
}

// TestComposeNode proves that a node in Compose starts with a valid configuration whose addresses are those of the other containers and
// of the image, that it is stopped no sooner than it has drained, and that a copy of the service is another node.
func TestComposeNode(t *testing.T) {
	p, image := project(t), readImage(t)
	cfg, node := composeConfig(t, p), p.Services["orderyard"]
	if v, written := node.Environment["ORDERYARD_NODE_NAME"]; !written || *v != "" || node.ContainerName != "" || node.Hostname != "" {
		t.Error("copies of the service must take their names from their containers")
	}
	var servers []string
	for _, s := range cfg.NATS.Servers() {
		u, err := url.Parse(s)
		if err != nil || u.Port() != "4222" {
			t.Errorf("%s: %v", s, err)
		}
		servers = append(servers, u.Hostname())
	}
	if nats := natsServices(p); !slices.Equal(servers, nats) || cfg.NATS.Replicas != len(nats) || cfg.NATS.Sync != configs.SyncAlways {
		t.Errorf("nats.url names %q, replicas %d; services are %q", servers, cfg.NATS.Replicas, nats)
	}
	if client := node.Environment["ORDERYARD_SERVER"]; client == nil || *client != cfg.NATS.URL {
		t.Error("client commands in the container talk to other servers than the node")
	}
	for key, addr := range map[string]string{"http.addr": cfg.HTTP.Addr, "cluster.bind": cfg.Cluster.Bind, "cluster.remote.bind": cfg.Cluster.Remote.Bind} {
		host, port, _ := net.SplitHostPort(addr)
		if host != "0.0.0.0" || !slices.Contains(image.expose, port+"/tcp") {
			t.Errorf("%s is %s; the image exposes %q", key, addr, image.expose)
		}
	}
	_, port, _ := net.SplitHostPort(cfg.Cluster.Bind)
	if want := []string{node.Name + ":" + port}; !slices.Equal(cfg.Cluster.Seeds, want) || !slices.Contains(image.expose, port+"/udp") {
		t.Errorf("seeds are %q, want %q, over UDP too", cfg.Cluster.Seeds, want)
	}
	if grace := time.Duration(*node.StopGracePeriod); grace < cfg.Cluster.DrainWithin+closeWithin*time.Second {
		t.Errorf("killed after %v, drains for %v and closes within %d s", grace, cfg.Cluster.DrainWithin, closeWithin)
	}
	for _, name := range natsServices(p) {
		if node.DependsOn[name].Condition != types.ServiceConditionHealthy {
			t.Errorf("does not wait until %s is healthy", name)
		}
	}
	if node.Build == nil || *node.Build.Args["VERSION"] != "v1" || node.Image != "orderyard:v1" || node.GetScale() != 3 || len(image.health) == 0 {
		t.Errorf("image %s, %d copies, built with %v", node.Image, node.GetScale(), node.Build)
	}
	if host, port, _ := net.SplitHostPort(cfg.HTTP.Addr); host == "" || len(node.Ports) != 1 || fmt.Sprint(node.Ports[0].Target) != port || node.Ports[0].Published != "" {
		t.Errorf("ports %v: one, of HTTP, and any of the machine, since there are copies", node.Ports)
	}
}

// TestComposeServices proves what every container has: a version, a restart, a health check, limits, no rights; and that only this
// machine reaches their ports.
func TestComposeServices(t *testing.T) {
	p := project(t)
	for name, s := range p.Services {
		if s.Restart != types.RestartPolicyUnlessStopped || s.StopGracePeriod == nil {
			t.Errorf("%s: restart %q, grace %v", name, s.Restart, s.StopGracePeriod)
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
			t.Errorf("%s has rights", name)
		}
		limits := s.Deploy.Resources.Limits
		if limits == nil || limits.MemoryBytes == 0 || limits.NanoCPUs == 0 || s.Environment["GOMEMLIMIT"] == nil {
			t.Fatalf("%s: no limits", name)
		}
		if soft := memory(t, *s.Environment["GOMEMLIMIT"]); int64(soft) >= int64(limits.MemoryBytes) {
			t.Errorf("%s: GOMEMLIMIT %v of %d bytes", name, soft, limits.MemoryBytes)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %d is open to other machines", name, port.Target)
			}
		}
	}
	for name, c := range p.Configs { // Compose refuses to write other kinds into a read-only container
		if c.File == "" {
			t.Errorf("config %s is no file", name)
		}
	}
	for _, name := range natsServices(p) {
		s := p.Services[name]
		if s.Image != natsImage(t) || s.HealthCheck == nil || s.HealthCheck.Test[0] != "CMD" {
			t.Errorf("%s: image %s, want %s with a health check", name, s.Image, natsImage(t))
		}
	}
}
