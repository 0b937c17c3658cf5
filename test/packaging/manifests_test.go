package packaging

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"orderyard/configs"
)

// What the tests read of a manifest; the whole of it is held against the schema.
type (
	meta struct {
		Name      string
		Namespace string
		Labels    map[string]string
	}
	selector struct {
		MatchLabels map[string]string
	}
	port struct {
		Name, Protocol, TargetPort string
		Port, ContainerPort        int
	}
	probe struct {
		HTTPGet                                         struct{ Path, Port string }
		PeriodSeconds, TimeoutSeconds, FailureThreshold int
	}
	variable struct {
		Name, Value string
		ValueFrom   struct{ FieldRef struct{ FieldPath string } }
	}
	volume struct {
		Name      string
		ConfigMap struct{ Name string }
		Secret    struct {
			SecretName  string
			DefaultMode int
		}
	}
	container struct {
		Name, Image                                 string
		Command, Args                               []string
		Env                                         []variable
		Ports                                       []port
		StartupProbe, ReadinessProbe, LivenessProbe probe
		Lifecycle                                   struct {
			PreStop struct{ Exec struct{ Command []string } }
		}
		Resources       struct{ Requests, Limits map[string]string }
		SecurityContext struct {
			AllowPrivilegeEscalation *bool
			ReadOnlyRootFilesystem   bool
			Capabilities             struct{ Drop []string }
		}
		VolumeMounts []struct {
			Name, MountPath string
			ReadOnly        bool
		}
	}
	pod struct {
		ServiceAccountName                               string
		EnableServiceLinks, AutomountServiceAccountToken *bool
		TerminationGracePeriodSeconds                    int
		SecurityContext                                  struct {
			RunAsNonRoot                   bool
			RunAsUser, RunAsGroup, FSGroup int
			SeccompProfile                 struct{ Type string }
		}
		Containers                []container
		Volumes                   []volume
		TopologySpreadConstraints []struct{ LabelSelector selector }
		Affinity                  struct {
			PodAntiAffinity struct {
				RequiredDuringSchedulingIgnoredDuringExecution []struct{ LabelSelector selector }
			}
		}
	}
	template struct {
		Metadata meta
		Spec     pod
	}
	deployment struct {
		Metadata meta
		Spec     struct {
			Replicas int
			Selector selector
			Strategy struct {
				RollingUpdate struct{ MaxSurge, MaxUnavailable int }
			}
			Template template
		}
	}
	statefulSet struct {
		Metadata meta
		Spec     struct {
			ServiceName, PodManagementPolicy string
			Replicas                         int
			Selector                         selector
			Template                         template
			VolumeClaimTemplates             []struct{ Metadata meta }
		}
	}
	service struct {
		Metadata meta
		Spec     struct {
			ClusterIP                string
			PublishNotReadyAddresses bool
			Selector                 map[string]string
			Ports                    []port
		}
	}
	budget struct {
		Metadata meta
		Spec     struct {
			MaxUnavailable int
			Selector       selector
		}
	}
	policy struct {
		Metadata meta
		Spec     struct {
			PodSelector selector
			Ingress     []struct {
				Ports []struct{ Port, Protocol string }
				From  []struct{ PodSelector selector }
			}
		}
	}
	kustomization struct {
		APIVersion, Kind, Namespace string
		Resources                   []string
		ConfigMapGenerator          []struct {
			Name  string
			Files []string
		}
		Images []struct{ Name, NewTag string }
	}
)

// object is one document of deploy/ that goes to Kubernetes.
type object struct {
	APIVersion, Kind string
	Metadata         meta
	file             string
	text             configs.Document
}

const (
	notManifestKustomize = "kustomization.yaml"
	notManifestConfig    = "orderyard.yaml" // goes into a ConfigMap as it is
)

// objects reads every manifest below deploy/.
func objects(t *testing.T) (found []object) {
	t.Helper()
	base := filepath.Join(root, "deploy")
	err := filepath.WalkDir(base, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".yaml" || slices.Contains([]string{notManifestKustomize, notManifestConfig}, d.Name()) {
			return err
		}
		if filepath.Base(filepath.Dir(name)) == "secrets" {
			return nil // somebody's own
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		found = append(found, split(t, name, text)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func split(t *testing.T, name string, text []byte) (found []object) {
	t.Helper()
	docs, err := configs.Documents(name, text)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		o := object{file: name, text: d}
		if err := json.Unmarshal(d.JSON, &o); err != nil {
			t.Fatal(err)
		}
		found = append(found, o)
	}
	return found
}

func manifest[T any](t *testing.T, kind, name string) (m T) {
	t.Helper()
	all := objects(t)
	i := slices.IndexFunc(all, func(o object) bool { return o.Kind == kind && o.Metadata.Name == name })
	if i < 0 {
		t.Fatalf("no %s %s", kind, name)
	}
	if err := json.Unmarshal(all[i].text.JSON, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func readKustomization(t *testing.T, dir string) (k kustomization) {
	t.Helper()
	docs, err := configs.Documents(dir, read(t, filepath.Join(dir, notManifestKustomize)))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(docs[0].JSON))
	d.DisallowUnknownFields()
	if err := d.Decode(&k); err != nil || len(docs) != 1 {
		t.Fatalf("%s: %d documents, %v", dir, len(docs), err)
	}
	return k
}

// schemas is what Kubernetes publishes about the kinds used here: see the comment in the file.
func schemas(t *testing.T) func(o object) error {
	t.Helper()
	text, err := os.ReadFile("testdata/kubernetes-1.36.json")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("kubernetes.json", parsed); err != nil {
		t.Fatal(err)
	}
	kinds := parsed.(map[string]any)["kinds"].(map[string]any)
	return func(o object) error {
		at, known := kinds[o.APIVersion+" "+o.Kind].(string)
		if !known {
			return fs.ErrNotExist
		}
		s, err := c.Compile("kubernetes.json" + at)
		if err != nil {
			return err
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(o.text.JSON))
		if err != nil {
			return err
		}
		return s.Validate(value)
	}
}

// TestManifestsFitTheSchema proves that Kubernetes would understand every field of every manifest, secrets.sh's included, by the schema
// it publishes; and that the check refuses what it should: a misspelled field, a text for a number, a missing one.
func TestManifestsFitTheSchema(t *testing.T) {
	check, all := schemas(t), objects(t)
	if len(all) < 10 {
		t.Fatalf("found %d manifests", len(all))
	}
	for _, o := range all {
		if err := check(o); err != nil {
			t.Errorf("%s:%d: %s %s: %v", o.file, o.text.Line, o.Kind, o.Metadata.Name, err)
		}
	}
	const good = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a}\nspec: {maxUnavailable: 1, selector: {matchLabels: {a: b}}}\n"
	if err := check(split(t, "good", []byte(good))[0]); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{
		strings.Replace(good, "maxUnavailable", "maxUnavailible", 1), strings.Replace(good, "policy/v1", "policy/v1beta1", 1),
		strings.Replace(good, "a: b", "a: 1", 1), "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {}}\n",
	} {
		if check(split(t, "bad", []byte(bad))[0]) == nil {
			t.Errorf("accepted\n%s", bad)
		}
	}
}

// TestKustomizations proves that `kubectl apply -k` finds what it is told to apply, and leaves nothing out.
func TestKustomizations(t *testing.T) {
	listed := map[string]bool{}
	for _, dir := range []string{"deploy/kubernetes", "deploy/nats"} {
		k := readKustomization(t, dir)
		if k.Kind != "Kustomization" || k.APIVersion != "kustomize.config.k8s.io/v1beta1" || k.Namespace != "orderyard" {
			t.Errorf("%s: %+v", dir, k)
		}
		for _, name := range k.Resources {
			path := filepath.Join(dir, name)
			info, err := os.Stat(filepath.Join(root, path))
			if err != nil {
				t.Error(err)
			} else if info.IsDir() {
				path = filepath.Join(path, notManifestKustomize)
			}
			listed[path] = true
		}
		for _, g := range k.ConfigMapGenerator {
			for _, file := range g.Files {
				read(t, filepath.Join(dir, file))
			}
		}
	}
	if !listed["deploy/nats/"+notManifestKustomize] {
		t.Error("deploy/kubernetes brings no NATS")
	}
	for _, o := range objects(t) {
		if path, _ := filepath.Rel(root, o.file); !listed[path] {
			t.Errorf("%s is in no kustomization", path)
		}
		if o.Metadata.Namespace != "" {
			t.Errorf("%s %s: the kustomization gives the namespace", o.Kind, o.Metadata.Name)
		}
	}
}
