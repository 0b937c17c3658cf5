package packaging

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"orderyard/configs"
)

// secrets runs secrets.sh into dir and gives the data of the Secrets it writes, by name; each fits the schema.
func secrets(t *testing.T, dir string) map[string]map[string][]byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("secrets.sh needs openssl, which is not here: the configuration of a pod cannot be loaded without its files")
	}
	out, err := exec.Command("sh", filepath.Join(root, "deploy/kubernetes/secrets.sh"), dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	found, check := map[string]map[string][]byte{}, schemas(t)
	for _, o := range split(t, "secrets.sh", out) {
		if err := check(o); err != nil {
			t.Errorf("secrets.sh: %v", err)
		}
		if o.Kind != "Secret" {
			continue
		}
		var s struct{ Data map[string][]byte }
		if err := json.Unmarshal(o.text.JSON, &s); err != nil {
			t.Fatal(err)
		}
		found[o.Metadata.Name] = s.Data
	}
	return found
}

// podConfig is what a node reads in its pod: the file in the ConfigMap, with the mounted secrets laid where this machine has them.
func podConfig(t *testing.T) configs.Config {
	t.Helper()
	spec := manifest[deployment](t, "Deployment", "orderyard").Spec.Template.Spec
	c, here := spec.Containers[0], t.TempDir()
	given := secrets(t, t.TempDir())
	mounted := ""
	for _, m := range c.VolumeMounts {
		i := slices.IndexFunc(spec.Volumes, func(v volume) bool { return v.Name == m.Name })
		if i < 0 || !m.ReadOnly {
			t.Fatalf("mount %s: no volume, or not read-only", m.Name)
		}
		v := spec.Volumes[i]
		if v.ConfigMap.Name != "" {
			k := readKustomization(t, "deploy/kubernetes").ConfigMapGenerator
			if len(k) != 1 || k[0].Name != v.ConfigMap.Name || !slices.Equal(k[0].Files, []string{notManifestConfig}) {
				t.Errorf("volume %s wants ConfigMap %s, which is %+v", v.Name, v.ConfigMap.Name, k)
			}
			mounted = m.MountPath
			continue
		}
		if v.Secret.DefaultMode != 0o440 {
			t.Errorf("volume %s has mode %o", v.Name, v.Secret.DefaultMode)
		}
		if err := os.MkdirAll(filepath.Join(here, m.MountPath), 0o700); err != nil {
			t.Fatal(err)
		}
		for key, data := range given[v.Secret.SecretName] {
			if err := os.WriteFile(filepath.Join(here, m.MountPath, key), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := []string{"node", "--config", mounted + "/" + notManifestConfig}; !slices.Equal(c.Args, want) {
		t.Errorf("args are %q, want %q", c.Args, want)
	}
	var environ []string
	for _, e := range c.Env {
		environ = append(environ, e.Name+"="+e.Value)
	}
	text := strings.ReplaceAll(string(read(t, "deploy/kubernetes/orderyard.yaml")), "/etc/orderyard/", here+"/etc/orderyard/")
	return load(t, "deploy/kubernetes/orderyard.yaml", []byte(text), environ)
}

// TestKubernetesNode proves that a node in Kubernetes starts with a valid configuration: its file, the mounts and the secrets that
// secrets.sh makes fit each other, its servers and seeds are the services here, and it encrypts what leaves the pod.
func TestKubernetesNode(t *testing.T) {
	cfg := podConfig(t)
	if key, err := cfg.Cluster.Key(); err != nil || len(key) != 32 || cfg.Cluster.Plain || !cfg.Cluster.Remote.TLS.Used() {
		t.Errorf("key of %d bytes, %v, plain %v, TLS %v", len(key), err, cfg.Cluster.Plain, cfg.Cluster.Remote.TLS.Used())
	}
	nats := manifest[statefulSet](t, "StatefulSet", "nats")
	var want []string
	for i := range nats.Spec.Replicas {
		want = append(want, fmt.Sprintf("nats://%s-%d.%s:4222", nats.Metadata.Name, i, nats.Spec.ServiceName))
	}
	if !slices.Equal(cfg.NATS.Servers(), want) || cfg.NATS.Replicas != nats.Spec.Replicas || cfg.NATS.Sync != configs.SyncAlways {
		t.Errorf("servers %q, want %q; %d replicas, sync %s", cfg.NATS.Servers(), want, cfg.NATS.Replicas, cfg.NATS.Sync)
	}
	client := variable{Name: "ORDERYARD_SERVER", Value: cfg.NATS.URL}
	if !slices.Contains(manifest[deployment](t, "Deployment", "orderyard").Spec.Template.Spec.Containers[0].Env, client) {
		t.Error("client commands in the container talk to other servers than the node")
	}
	nodes := manifest[service](t, "Service", "orderyard-nodes")
	_, gossip, _ := net.SplitHostPort(cfg.Cluster.Bind)
	if want := []string{nodes.Metadata.Name + ":" + gossip}; !slices.Equal(cfg.Cluster.Seeds, want) {
		t.Errorf("seeds %q, want %q", cfg.Cluster.Seeds, want)
	}
	d := manifest[deployment](t, "Deployment", "orderyard").Spec
	ports := map[string]string{}
	for _, p := range d.Template.Spec.Containers[0].Ports {
		ports[p.Name] = strconv.Itoa(p.ContainerPort)
	}
	for name, addr := range map[string]string{"http": cfg.HTTP.Addr, "gossip": cfg.Cluster.Bind, "gossip-udp": cfg.Cluster.Bind, "remote": cfg.Cluster.Remote.Bind} {
		host, port, _ := net.SplitHostPort(addr)
		if host != "0.0.0.0" || ports[name] != port {
			t.Errorf("%s listens at %s, the container has %s", name, addr, ports[name])
		}
	}
	if grace := time.Duration(d.Template.Spec.TerminationGracePeriodSeconds) * time.Second; grace < cfg.Cluster.DrainWithin+closeWithin*time.Second {
		t.Errorf("killed after %v, drains for %v", grace, cfg.Cluster.DrainWithin)
	}
	if r := d.Strategy.RollingUpdate; d.Replicas < 3 || r.MaxUnavailable != 0 || r.MaxSurge != 1 {
		t.Errorf("%d replicas, updated by %+v", d.Replicas, r)
	}
}

// TestSecretsRepeat proves that running secrets.sh again keeps the gossip key and the authority, which running nodes hold, and renews the
// certificate under it.
func TestSecretsRepeat(t *testing.T) {
	dir := t.TempDir()
	first, second := secrets(t, dir), secrets(t, dir)
	same := func(secret, key string) bool { return string(first[secret][key]) == string(second[secret][key]) }
	if !same("orderyard-gossip", "key") || !same("orderyard-tls", "ca.crt") || same("orderyard-tls", "tls.crt") {
		t.Error("kept or renewed the wrong one")
	}
	if _, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(first["orderyard-gossip"]["key"]))); err != nil {
		t.Error(err)
	}
}

// workload is what a Deployment and a StatefulSet have in common.
type workload struct {
	name     string
	selector map[string]string
	labels   map[string]string
	pod      pod
}

func workloads(t *testing.T) []workload {
	d, s := manifest[deployment](t, "Deployment", "orderyard"), manifest[statefulSet](t, "StatefulSet", "nats")
	return []workload{
		{"orderyard", d.Spec.Selector.MatchLabels, d.Spec.Template.Metadata.Labels, d.Spec.Template.Spec},
		{"nats", s.Spec.Selector.MatchLabels, s.Spec.Template.Metadata.Labels, s.Spec.Template.Spec},
	}
}

// TestKubernetesPods proves what every pod has: no rights, no injected variables, probes on ports it has, limits that fit, and one
// disruption at a time.
func TestKubernetesPods(t *testing.T) {
	for _, w := range workloads(t) {
		p, c := w.pod, w.pod.Containers[0]
		s := p.SecurityContext
		if !s.RunAsNonRoot || s.RunAsUser == 0 || s.FSGroup != s.RunAsGroup || s.SeccompProfile.Type != "RuntimeDefault" {
			t.Errorf("%s: security context of the pod %+v", w.name, s)
		}
		if cs := c.SecurityContext; cs.AllowPrivilegeEscalation == nil || *cs.AllowPrivilegeEscalation || !cs.ReadOnlyRootFilesystem ||
			!slices.Equal(cs.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("%s: security context %+v", w.name, cs)
		}
		if p.EnableServiceLinks == nil || *p.EnableServiceLinks || p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken {
			t.Errorf("%s: service links or a token", w.name)
		}
		var named []string
		for _, port := range c.Ports {
			named = append(named, port.Name)
		}
		for kind, probe := range map[string]probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
			if probe.HTTPGet.Path == "" || !slices.Contains(named, probe.HTTPGet.Port) {
				t.Errorf("%s: %s probe %+v, ports %q", w.name, kind, probe, named)
			}
		}
		if budget := c.StartupProbe.PeriodSeconds * c.StartupProbe.FailureThreshold; budget < 150 {
			t.Errorf("%s is killed after %d s of a start", w.name, budget)
		}
		i := slices.IndexFunc(c.Env, func(e variable) bool { return e.Name == "GOMEMLIMIT" })
		r := c.Resources
		if i < 0 || memory(t, c.Env[i].Value) >= memory(t, r.Limits["memory"]) || r.Requests["memory"] != r.Limits["memory"] || r.Limits["cpu"] != "" || r.Requests["cpu"] == "" {
			t.Errorf("%s: resources %+v", w.name, r)
		}
		if b := manifest[budget](t, "PodDisruptionBudget", w.name); b.Spec.MaxUnavailable != 1 || !maps.Equal(b.Spec.Selector.MatchLabels, w.labels) {
			t.Errorf("%s: disruption budget %+v", w.name, b.Spec)
		}
		if !maps.Equal(w.selector, w.labels) {
			t.Errorf("%s selects %v, its pods are %v", w.name, w.selector, w.labels)
		}
		for _, c := range p.TopologySpreadConstraints {
			if !maps.Equal(c.LabelSelector.MatchLabels, w.labels) {
				t.Errorf("%s is spread by %v", w.name, c.LabelSelector)
			}
		}
	}
	image, spec := readImage(t), manifest[deployment](t, "Deployment", "orderyard").Spec.Template.Spec
	if s := spec.SecurityContext; fmt.Sprintf("%d:%d", s.RunAsUser, s.RunAsGroup) != image.user {
		t.Errorf("runs as %+v, the image as %s", s, image.user)
	}
	if k := readKustomization(t, "deploy/kubernetes"); len(k.Images) != 1 || k.Images[0].Name != spec.Containers[0].Image {
		t.Errorf("image %s is not that of the kustomization, %+v", spec.Containers[0].Image, k.Images)
	}
	manifest[object](t, "ServiceAccount", spec.ServiceAccountName)
}

// TestKubernetesNames proves that services and policies select the pods they are for and name ports that those have.
func TestKubernetesNames(t *testing.T) {
	for i, w := range workloads(t) {
		s := manifest[service](t, "Service", []string{"orderyard-nodes", "nats"}[i])
		if s.Spec.ClusterIP != "None" || !s.Spec.PublishNotReadyAddresses || !maps.Equal(s.Spec.Selector, w.labels) {
			t.Errorf("service %s: %+v", s.Metadata.Name, s.Spec)
		}
		protocol := func(p string) string {
			if p == "" {
				return "TCP"
			}
			return p
		}
		ports := map[string]port{}
		for _, p := range w.pod.Containers[0].Ports {
			ports[p.Name] = p
		}
		for _, p := range s.Spec.Ports {
			target, ok := ports[p.TargetPort]
			if !ok || target.ContainerPort != p.Port || protocol(target.Protocol) != protocol(p.Protocol) {
				t.Errorf("service %s: port %+v leads to %+v", s.Metadata.Name, p, target)
			}
		}
		rule := manifest[policy](t, "NetworkPolicy", w.name)
		if !maps.Equal(rule.Spec.PodSelector.MatchLabels, w.labels) {
			t.Errorf("policy %s is about %v", w.name, rule.Spec.PodSelector)
		}
		open := map[string]bool{}
		for _, in := range rule.Spec.Ingress {
			for _, p := range in.Ports {
				if target, ok := ports[p.Port]; !ok || protocol(target.Protocol) != p.Protocol {
					t.Errorf("policy %s: port %+v is %+v", w.name, p, target)
				}
				open[p.Port] = true
			}
			for _, from := range in.From {
				if l := from.PodSelector.MatchLabels; len(l) > 0 && !maps.Equal(l, w.labels) {
					t.Errorf("policy %s lets %v in", w.name, l)
				}
			}
		}
		for name := range ports {
			if !open[name] {
				t.Errorf("policy %s: nobody reaches %s", w.name, name)
			}
		}
	}
}

// TestKubernetesNATS proves the command line of the StatefulSet with the server's own parser, and that its names, folders and periods are
// those of nats.conf and of the other files.
func TestKubernetesNATS(t *testing.T) {
	s := manifest[statefulSet](t, "StatefulSet", "nats")
	spec := s.Spec.Template.Spec
	c := spec.Containers[0]
	if c.Image != natsImage(t) || !slices.Equal(c.Command, []string{"nats-server"}) || s.Spec.PodManagementPolicy != "Parallel" || s.Spec.Replicas != 3 {
		t.Errorf("%d × %s runs %q, started %s", s.Spec.Replicas, c.Image, c.Command, s.Spec.PodManagementPolicy)
	}
	if c.Env[0].Name != "POD_NAME" || c.Env[0].ValueFrom.FieldRef.FieldPath != "metadata.name" {
		t.Errorf("the name is %+v", c.Env[0])
	}
	o := natsOptions(t, c.Args)
	if o.ServerName != "$(POD_NAME)" {
		t.Errorf("named %s", o.ServerName)
	}
	for i, r := range o.Routes {
		if want := (&url.URL{Scheme: "nats", Host: fmt.Sprintf("%s-%d.%s:%d", s.Metadata.Name, i, s.Spec.ServiceName, o.Cluster.Port)}); r.String() != want.String() {
			t.Errorf("route %s, want %s", r, want)
		}
	}
	if grace := time.Duration(spec.TerminationGracePeriodSeconds) * time.Second; len(o.Routes) != s.Spec.Replicas || grace < o.LameDuckDuration+o.LameDuckGracePeriod+10*time.Second {
		t.Errorf("%d routes, killed after %v", len(o.Routes), grace)
	}
	if !slices.Equal(c.Lifecycle.PreStop.Exec.Command, []string{"nats-server", "--signal", "ldm=1"}) {
		t.Errorf("stopped by %q", c.Lifecycle.PreStop.Exec.Command)
	}
	k := readKustomization(t, "deploy/nats").ConfigMapGenerator[0]
	if k.Name != spec.Volumes[0].ConfigMap.Name || !slices.Equal(k.Files, []string{"nats.conf"}) {
		t.Errorf("the configuration is %+v, mounted %+v", k, spec.Volumes[0])
	}
	mounts := map[string]string{}
	for _, m := range c.VolumeMounts {
		mounts[m.MountPath] = m.Name
	}
	if mounts["/etc/nats"] != spec.Volumes[0].Name || mounts[o.StoreDir] != s.Spec.VolumeClaimTemplates[0].Metadata.Name {
		t.Errorf("mounts %v", mounts)
	}
	anti := spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if len(anti) != 1 || !maps.Equal(anti[0].LabelSelector.MatchLabels, s.Spec.Selector.MatchLabels) {
		t.Errorf("two servers may share a machine: %+v", anti)
	}
}
