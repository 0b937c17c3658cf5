package figures

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine is where and when a report was made.
type Machine struct {
	Made      time.Time         `json:"made"`
	CPU       string            `json:"cpu"`
	Cores     int               `json:"cores"`
	MemoryMiB int64             `json:"memory_mib"`
	System    string            `json:"system"` // "linux 6.1.0"
	Go        string            `json:"go"`
	Load      float64           `json:"load"`           // of the last minute, when the run began: above 1 others were at work
	SyncRate  float64           `json:"sync_per_s"`     // fdatasync of 4 KiB, one after the other
	Disk      string            `json:"disk,omitempty"` // kind of file system
	Versions  map[string]string `json:"versions"`       // of Orderyard, NATS and the peers
}

// ThisMachine reads what the kernel tells. What it does not tell stays empty: a report without the name of a CPU is still one.
func ThisMachine(dir string) Machine {
	m := Machine{Made: time.Now().UTC().Truncate(time.Second), Cores: runtime.GOMAXPROCS(0), System: runtime.GOOS, Go: runtime.Version(), Versions: map[string]string{}}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = cpuName(text)
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.System += " " + strings.TrimSpace(string(text))
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(text), " ")
		m.Load, _ = strconv.ParseFloat(first, 64) // 0 = unknown
	}
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		m.MemoryMiB = int64(info.Totalram) * int64(info.Unit) >> 20
	}
	var disk syscall.Statfs_t
	if syscall.Statfs(dir, &disk) == nil {
		m.Disk = fileSystem(int64(disk.Type))
	}
	return m
}

// cpuName finds the model in /proc/cpuinfo.
func cpuName(text []byte) string {
	for line := range bytes.Lines(text) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(key)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return runtime.GOARCH
}

// fileSystem names the kinds that matter: on tmpfs a sync costs nothing and every figure about durability is void.
func fileSystem(magic int64) string {
	names := map[int64]string{0xEF53: "ext4", 0x58465342: "xfs", 0x9123683E: "btrfs", 0x01021994: "tmpfs", 0x794C7630: "overlayfs", 0x2FC12FC1: "zfs"}
	if name, ok := names[magic&0xFFFFFFFF]; ok {
		return name
	}
	return fmt.Sprintf("file system %#x", magic)
}

// String is one line.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %d MiB, %s, %s, %s with %.0f syncs/s, load %.1f", m.CPU, m.Cores, m.MemoryMiB, m.System, m.Go, m.Disk, m.SyncRate, m.Load)
}
