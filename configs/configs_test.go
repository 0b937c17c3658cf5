package configs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"orderyard/configs"
)

// TestExampleIsTheDefaults proves that orderyard.yaml shows every key, each with its real default and advice above it: the file
// parsed over an empty Config must give Default.
func TestExampleIsTheDefaults(t *testing.T) {
	got, warnings, err := configs.Parse(configs.Config{}, "orderyard.yaml", configs.Example, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if want := configs.Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("orderyard.yaml gives\n%+v\nDefault gives\n%+v", got, want)
	}
	lines := strings.Split(string(configs.Example), "\n")
	for i, line := range lines {
		leaf := regexp.MustCompile(`^ *[a-z_]+: .`).MatchString(line)
		if leaf && !strings.HasPrefix(strings.TrimSpace(lines[i-1]), "#") {
			t.Errorf("orderyard.yaml:%d: no line of advice above %q", i+1, line)
		}
	}
}

// TestBadFiles proves every rule of validity by a file that breaks it: each *.bad.yaml names the complaints it must cause, all of
// them in one run, in its own first comment lines.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("found %d bad files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".bad.yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(data)) {
				if w, ok := strings.CutPrefix(line, "# want: "); ok {
					want = append(want, file+":"+strings.TrimSpace(w))
				}
			}
			_, _, err = configs.Load(configs.Default(), file, nil)
			if err == nil {
				t.Fatalf("was accepted, want\n%s", strings.Join(want, "\n"))
			}
			if got := err.Error(); got != strings.Join(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
			}
		})
	}
}

// TestEveryBound proves that no dial is without a guard: each key that has a least and a largest value refuses one below and one
// above, by name, through the environment.
func TestEveryBound(t *testing.T) {
	checked := 0
	var walk func(prefix string, typ reflect.Type)
	walk = func(prefix string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			path := prefix + f.Tag.Get("yaml")
			if f.Type.Kind() == reflect.Struct {
				walk(path+".", f.Type)
				continue
			}
			if f.Tag.Get("max") == "" {
				continue
			}
			checked++
			for _, value := range outside(f.Type) {
				name := "ORDERYARD_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
				_, _, err := configs.Parse(configs.Default(), "", nil, []string{name + "=" + value})
				if err == nil || !strings.Contains(err.Error(), name+": "+path+": must be") {
					t.Errorf("%s=%s: got %v", name, value, err)
				}
			}
		}
	}
	walk("", reflect.TypeFor[configs.Config]())
	if checked < 15 {
		t.Errorf("only %d keys have bounds", checked)
	}
}

func outside(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return []string{"-1ns", "9000h", "12", "soon"}
	case reflect.TypeFor[configs.Bytes]():
		return []string{"0", "1000000GiB", "-5", "1MB", "99999999999GiB"}
	}
	return []string{"-1", "99999999999", "1.5", "many"}
}

// TestPrecedence proves defaults < file < environment, and that an empty file, an empty section and no file are the defaults.
func TestPrecedence(t *testing.T) {
	file := "limits:\n  mailbox_max: 100\n  commit_bytes_max: 1MiB\nlog:\nnode: {name: a}\n"
	cfg, warnings, err := configs.Parse(configs.Dev(), "f", []byte(file), []string{
		"ORDERYARD_LIMITS_MAILBOX_MAX=200", "ORDERYARD_NATS_URL=nats://10.0.0.1:4222", "ORDERYARD_SERVER=x", "ORDERYARD_TLS_CA=y", "ORDERYARD_PORT=tcp://1",
		"ORDERYARD_FLEET_SEED=18446744073709551615", "PATH=/bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Limits.MailboxMax != 200 || cfg.Limits.CommitBytesMax != configs.MiB || cfg.Node.Name != "a" || cfg.Partitions != configs.Dev().Partitions ||
		cfg.NATS.Embedded() || cfg.Log.Level != "info" || cfg.Fleet.Seed != 1<<64-1 {
		t.Errorf("got %+v", cfg)
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "ORDERYARD_PORT ") {
		t.Errorf("warnings %q, want one about ORDERYARD_PORT", warnings)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "limits:\n"} {
		if cfg, _, err := configs.Parse(configs.Default(), "f", []byte(empty), nil); err != nil || !reflect.DeepEqual(cfg, configs.Default()) {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

// TestEnvironmentRepairsFile proves that a variable over a refused value of the file does not hide the file's mistake: the file
// would stop the next start that lacks the variable.
func TestEnvironmentRepairsFile(t *testing.T) {
	_, _, err := configs.Parse(configs.Default(), "f", []byte("partitions: many\n"), []string{"ORDERYARD_PARTITIONS=4"})
	if err == nil || !strings.HasPrefix(err.Error(), "f:1:13: partitions: ") {
		t.Errorf("got %v", err)
	}
}

// TestLoadMissing proves that a file that was asked for and is not there stops the start.
func TestLoadMissing(t *testing.T) {
	_, _, err := configs.Load(configs.Default(), filepath.Join(t.TempDir(), "none.yaml"), nil)
	if err == nil || !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("got %v", err)
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		if _, path := err.(*os.PathError); path {
			return err
		}
		err = u.Unwrap()
	}
}

// TestDemoSites proves that the demo network is whole: ten centers, twenty stores, unique ids, zones this program knows.
func TestDemoSites(t *testing.T) {
	docs, err := configs.DemoSites()
	if err != nil {
		t.Fatal(err)
	}
	ids, types := map[string]bool{}, map[string]int{}
	for _, d := range docs {
		var s struct {
			ID, Type   string
			Lat, Lon   float64
			PostalCode string `json:"postal_code"`
			Calendar   struct {
				TimeZone string `json:"time_zone"`
			}
		}
		if err := json.Unmarshal(d.JSON, &s); err != nil {
			t.Fatalf("line %d: %v", d.Line, err)
		}
		if ids[s.ID] || s.ID == "" {
			t.Errorf("line %d: id %q again", d.Line, s.ID)
		}
		if s.Lat < 25 || s.Lat > 49 || s.Lon < -125 || s.Lon > -66 || len(s.PostalCode) != 5 {
			t.Errorf("%s lies at %v,%v %s", s.ID, s.Lat, s.Lon, s.PostalCode)
		}
		if _, err := time.LoadLocation(s.Calendar.TimeZone); err != nil {
			t.Errorf("%s: %v", s.ID, err)
		}
		ids[s.ID] = true
		types[s.Type]++
	}
	if types["dc"] != 10 || types["store"] != 20 {
		t.Errorf("got %v", types)
	}
}

// TestDocuments proves that the shapes an operator may write give the same objects, and the others a place to look at.
func TestDocuments(t *testing.T) {
	for _, text := range []string{
		"id: a\nopen: {mon: \"08:00-18:00\"}\n---\nid: b\n",
		"- id: a\n  open:\n    mon: 08:00-18:00\n- id: b\n",
		`[{"id":"a","open":{"mon":"08:00-18:00"}},{"id":"b"}]`,
	} {
		docs, err := configs.Documents("f", []byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if len(docs) != 2 || !sameJSON(docs[0].JSON, `{"id":"a","open":{"mon":"08:00-18:00"}}`) || !sameJSON(docs[1].JSON, `{"id":"b"}`) {
			t.Errorf("%q gives %+v", text, docs)
		}
	}
	for text, want := range map[string]string{
		"":              "f: holds no document",
		"just text":     "f:1:1: expected an object or a list of objects",
		"- a\n":         "f:1:3: expected an object or a list of objects",
		"id: a\nid: b":  `f:2:1: mapping key "id" already defined at [1:1]`,
		"- [{id: a}]\n": "f:1:1: a list inside the list; expected objects",

		"# " + strings.Repeat("]", 100) + "\n" + strings.Repeat("[", 100): "f: has more than 64 lists, objects and keys inside each other",
	} {
		if _, err := configs.Documents("f", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func sameJSON(got json.RawMessage, want string) bool {
	var a, b any
	return json.Unmarshal(got, &a) == nil && json.Unmarshal([]byte(want), &b) == nil && reflect.DeepEqual(a, b)
}

// FuzzParse proves that no file and no variable can panic the loader, and that what it accepts is within every rule.
func FuzzParse(f *testing.F) {
	f.Add(string(configs.Example), "1")
	f.Add("a: [", "x")
	f.Add("limits: {mailbox_max: &a 1, inflight_max: *a}\n<<: {}\n? [a]\n: b", "")
	f.Fuzz(func(t *testing.T, file, value string) {
		cfg, _, err := configs.Parse(configs.Default(), "f", []byte(file), []string{"ORDERYARD_PARTITIONS=" + value})
		if err == nil && (cfg.Partitions < 1 || cfg.Limits.MailboxMax < 1 || cfg.Node.Name == "") {
			t.Errorf("accepted %+v", cfg)
		}
	})
}
