package configs

import (
	"strings"
	"time"
)

// Config is everything an operator may set. The yaml tag is the key; min and max are the rule of validity of a number, size or
// time and are inclusive; words lists the only texts allowed. Reasons for the defaults stand in orderyard.yaml beside each key.
type Config struct {
	Node           Node          `yaml:"node"`
	NATS           NATS          `yaml:"nats"`
	Cluster        Cluster       `yaml:"cluster"`
	HTTP           HTTP          `yaml:"http"`
	Routing        Routing       `yaml:"routing"`
	Partitions     int           `yaml:"partitions" min:"1" max:"1024"`
	Limits         Limits        `yaml:"limits"`
	Admission      Admission     `yaml:"admission"`
	Checkpoint     Checkpoint    `yaml:"checkpoint"`
	PassivateAfter time.Duration `yaml:"passivate_after" min:"100ms" max:"24h"`
	Fleet          Fleet         `yaml:"fleet"`
	Log            Log           `yaml:"log"`
}

// Node says who this process is and where it keeps its files.
type Node struct {
	Name   string `yaml:"name"` // written as "" it is the machine's host name: a loaded Config never holds an empty one
	Data   string `yaml:"data"`
	Weight int    `yaml:"weight" min:"0" max:"1000"` // 0 = owns no partition
}

// NATS says which servers carry messages and keep the journal, and who the node is to them.
type NATS struct {
	URL      string `yaml:"url"`  // one or several, separated by commas; empty = an embedded server. May hold a password: log Shown
	Port     int    `yaml:"port"` // of the embedded server's clients; 0 = any free port
	Sync     string `yaml:"sync" words:"always interval"`
	Replicas int    `yaml:"replicas"` // of streams and buckets that this process makes: 1 or 3
	Creds    string `yaml:"creds"`    // file of a user's JWT and seed
	NKey     string `yaml:"nkey"`     // file of a seed
	TLS      TLS    `yaml:"tls"`
}

// Embedded reports whether the process runs its own NATS server.
func (n NATS) Embedded() bool { return n.URL == "" }

// Servers lists the addresses in URL; none for an embedded server.
func (n NATS) Servers() []string { return split(n.URL) }

// Shown is URL as it may be logged: without user and password.
func (n NATS) Shown() string {
	shown := n.Servers()
	for i := range shown {
		shown[i] = withoutUser(shown[i])
	}
	return strings.Join(shown, ",")
}

// HTTP is the door for probes, metrics and the API.
type HTTP struct {
	Addr    string `yaml:"addr"` // empty = no HTTP
	Profile bool   `yaml:"profile"`
}

// Routing says by what rules sites are chosen when nobody has published any, and which ones only look on.
type Routing struct {
	Rules       string      `yaml:"rules"`  // file; empty = the built-in rules
	Shadow      string      `yaml:"shadow"` // file; empty = no shadow
	Opportunity Opportunity `yaml:"opportunity"`
	Sweep       Sweep       `yaml:"sweep"`
}

// Sweep says when orders are moved to where they are cheaper together. Amounts are minor units.
type Sweep struct {
	Enabled          bool          `yaml:"enabled"`
	Every            time.Duration `yaml:"every" min:"1s" max:"24h"`
	OrdersMax        int           `yaml:"orders_max" min:"1" max:"5000"`
	CommandsMax      int           `yaml:"commands_max" min:"1" max:"256"`
	SavingPercentMin int           `yaml:"saving_percent_min" min:"0" max:"100"`
	SavingMin        int           `yaml:"saving_min" min:"0" max:"1000000"`
}

// Opportunity says how shadow prices are made, which the score `opportunity` of a rule set asks for. Costs are minor units.
type Opportunity struct {
	Enabled           bool          `yaml:"enabled"`
	Every             time.Duration `yaml:"every" min:"1s" max:"24h"`
	Horizon           time.Duration `yaml:"horizon" min:"1m" max:"2160h"`
	HalfLife          time.Duration `yaml:"half_life" min:"1m" max:"2160h"`
	Within            time.Duration `yaml:"within" min:"100ms" max:"10m"`
	SKUsMax           int           `yaml:"skus_max" min:"1" max:"100000"`
	FlowsMax          int           `yaml:"flows_max" min:"100" max:"1000000"`
	RoundsMax         int           `yaml:"rounds_max" min:"5" max:"10000"`
	PostalDigits      int           `yaml:"postal_digits" min:"1" max:"9"`
	ParcelCost        int           `yaml:"parcel_cost" min:"0" max:"1000000"`
	UnitCostPer1000Km int           `yaml:"unit_cost_per_1000km" min:"0" max:"1000000"`
}

// Limits names the largest size of everything that could grow. At a limit a door answers `limit` with a time to come back.
type Limits struct {
	MailboxMax           int           `yaml:"mailbox_max" min:"1" max:"1048576"`
	InflightMax          int           `yaml:"inflight_max" min:"1" max:"1048576"`
	PartitionInflightMax int           `yaml:"partition_inflight_max" min:"1" max:"4194304"`
	CommitBytesMax       Bytes         `yaml:"commit_bytes_max" min:"512KiB" max:"7MiB"`
	CommitPace           time.Duration `yaml:"commit_pace" min:"0s" max:"20ms"`
	DedupMax             int           `yaml:"dedup_max" min:"16" max:"16777216"`
	DedupFor             time.Duration `yaml:"dedup_for" min:"1m" max:"720h"`
	RetryMin             time.Duration `yaml:"retry_min" min:"1ms" max:"10s"`
	RetryMax             time.Duration `yaml:"retry_max" min:"100ms" max:"10m"`
	ActivationMax        int           `yaml:"activation_max" min:"16" max:"100000"`
	ParkedMax            int           `yaml:"parked_max" min:"1" max:"1048576"`
	CallsMax             int           `yaml:"calls_max" min:"1" max:"1048576"`
	TasksMax             int           `yaml:"tasks_max" min:"1" max:"1048576"`
}

// Admission says when the doors refuse new work because the node is behind, long before a limit of Limits is reached.
type Admission struct {
	Enabled     bool          `yaml:"enabled"`
	Target      time.Duration `yaml:"target" min:"10ms" max:"1m"`
	Interval    time.Duration `yaml:"interval" min:"100ms" max:"1m"`
	Surge       time.Duration `yaml:"surge" min:"100ms" max:"5m"`
	InflightMin int           `yaml:"inflight_min" min:"1" max:"1048576"`
	ChannelsMax int           `yaml:"channels_max" min:"1" max:"1024"`
	RetryMax    time.Duration `yaml:"retry_max" min:"10ms" max:"5m"`
}

// Checkpoint says when a partition writes its states down, so that a restart reads a short tail.
type Checkpoint struct {
	TailBytesMax Bytes `yaml:"tail_bytes_max" min:"1MiB" max:"64GiB"`
}

// Fleet is the simulated staff of the sites. Only `dev` and `replay` start it.
type Fleet struct {
	PickAfter      time.Duration `yaml:"pick_after" min:"0s" max:"24h"`
	PackAfter      time.Duration `yaml:"pack_after" min:"0s" max:"24h"`
	ShipAfter      time.Duration `yaml:"ship_after" min:"0s" max:"24h"`
	DeliverAfter   time.Duration `yaml:"deliver_after" min:"0s" max:"720h"`
	RejectPermille int           `yaml:"reject_permille" min:"0" max:"1000"`
	Seed           uint64        `yaml:"seed"`
}

// Log is for operators; what happens to orders is in events, never here.
type Log struct {
	Level  string `yaml:"level" words:"debug info warn error"`
	Format string `yaml:"format" words:"text json"`
}

// Default is what a production node runs with when its file is empty. orderyard.yaml shows these values; a test compares them.
func Default() Config {
	return Config{
		Node: Node{Name: "node-1", Data: "./data", Weight: 1},
		NATS: NATS{Port: 4222, Sync: SyncAlways, Replicas: 1},
		Cluster: Cluster{
			Bind:       "127.0.0.1:7946",
			Remote:     Remote{Bind: "127.0.0.1:7947", TLS: TLS{ServerName: "orderyard"}},
			SessionTTL: 3 * time.Second, MovesMax: 4, WarmWithin: 10 * time.Second, DrainWithin: 30 * time.Second,
		},
		HTTP: HTTP{Addr: "127.0.0.1:8080"},
		Routing: Routing{
			Opportunity: Opportunity{
				Every: time.Minute, Horizon: 7 * 24 * time.Hour, HalfLife: 24 * time.Hour, Within: 10 * time.Second,
				SKUsMax: 2000, FlowsMax: 20_000, RoundsMax: 300, PostalDigits: 2, ParcelCost: 800, UnitCostPer1000Km: 50,
			},
			Sweep: Sweep{Every: 10 * time.Minute, OrdersMax: 500, CommandsMax: 16, SavingPercentMin: 3, SavingMin: 50},
		},
		Partitions: 32,
		Limits: Limits{
			MailboxMax:           16384,
			InflightMax:          16384,
			PartitionInflightMax: 32768,
			CommitBytesMax:       768 * KiB,
			CommitPace:           time.Millisecond,
			DedupMax:             65536,
			DedupFor:             24 * time.Hour,
			RetryMin:             20 * time.Millisecond,
			RetryMax:             30 * time.Second,
			ActivationMax:        1000,
			ParkedMax:            4096,
			CallsMax:             8192,
			TasksMax:             65536,
		},
		Admission: Admission{
			Enabled: true, Target: 250 * time.Millisecond, Interval: time.Second, Surge: 2 * time.Second, InflightMin: 64, ChannelsMax: 64,
			RetryMax: 2 * time.Second,
		},
		Checkpoint:     Checkpoint{TailBytesMax: 8 * MiB},
		PassivateAfter: 6 * time.Second,
		Fleet: Fleet{
			PickAfter: 2 * time.Second, PackAfter: 2 * time.Second, ShipAfter: 2 * time.Second, DeliverAfter: 10 * time.Second,
			RejectPermille: 50, Seed: 1,
		},
		Log: Log{Level: "info", Format: "text"},
	}
}

// Dev is Default for `orderyard dev`: one process on one disk, where fewer partitions make larger commits (as many as cores are enough), and where
// nobody waits for another node to read a tail back, so that checkpoints may be rare.
func Dev() Config {
	c := Default()
	c.Node.Name = "dev"
	c.Partitions = 2
	c.Checkpoint.TailBytesMax = 64 * MiB
	return c
}

// SyncAlways is the journal's promise: an answer means the disk has it. SyncInterval trades that for speed, with a warning.
const (
	SyncAlways   = "always"
	SyncInterval = "interval"
)
