package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"orderyard/actors/bare"
	"orderyard/configs"
	"orderyard/messages"
)

// The benchmark's node is a process of its own, so that nothing but the node is weighed. It is the whole of `orderyard dev`: server, node, doors. It
// tells what it finds as one line of JSON and lives until its standard input ends.

// memoryReading is what one process says of itself.
type memoryReading struct {
	Ready       float64 `json:"ready_seconds"`        // from the start of the process until every partition serves
	FirstCommit float64 `json:"first_commit_seconds"` // until an order that was placed over NATS is durable
	AtReady     int64   `json:"rss_at_ready_bytes"`
	AtRest      int64   `json:"rss_at_rest_bytes"` // a while later, as the collector left it
	Peak        int64   `json:"rss_peak_bytes"`
	Heap        int64   `json:"heap_live_bytes"` // what is reachable
	ReadyCPU    float64 `json:"cpu_at_ready_seconds"`
	Entities    int64   `json:"entities"`
}

func newBenchMemoryNodeCmd(a *app) *cobra.Command {
	var dir, profile, order string
	var actors int
	var began int64
	var rest time.Duration
	cmd := &cobra.Command{
		Use: "memory-node", Hidden: true, Args: cobra.NoArgs, Short: "The process that `bench memory` weighs",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r *memoryReading
			var end func() error
			var err error
			if actors > 0 {
				stop := bare.Start(actors)
				end = func() error { stop(); return nil }
				r = &memoryReading{Entities: int64(actors)}
			} else if r, end, err = startWeighed(cmd.Context(), dir, order, time.Unix(0, began)); err != nil {
				return err
			}
			if err := r.weigh(cmd.Context(), rest, profile); err != nil {
				return errors.Join(err, end())
			}
			line, err := json.Marshal(r)
			if err != nil {
				return errors.Join(err, end())
			}
			if err := a.println(string(line)); err != nil {
				return errors.Join(err, end())
			}
			_, _ = io.Copy(io.Discard, a.in) // until whoever asked has read enough
			return end()
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "dir", "", "data folder of the node")
	flags.StringVar(&order, "order", "", "external id of the first order")
	flags.StringVar(&profile, "heapprofile", "", "write what lives to this file")
	flags.DurationVar(&rest, "rest", 0, "how long it is left alone before it is weighed")
	flags.IntVar(&actors, "actors", 0, "weigh so many bare actors instead")
	flags.Int64Var(&began, "began", 0, "when the process was started, Unix ns")
	return cmd
}

// startWeighed starts the node and places one order.
func startWeighed(ctx context.Context, dir, order string, began time.Time) (*memoryReading, func() error, error) {
	cfg := configs.Dev()
	cfg.Node.Data, cfg.NATS.Port, cfg.HTTP.Addr = dir, 0, "127.0.0.1:0"
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	slog.SetDefault(log)
	stopProfile, err := profileStart()
	if err != nil {
		return nil, nil, err
	}
	y, err := openYard(ctx, cfg, log)
	if err != nil {
		return nil, nil, err
	}
	r := &memoryReading{Ready: time.Since(began).Seconds(), AtReady: statusBytes("VmRSS"), ReadyCPU: cpuUsed().Seconds()}
	stopProfile()
	if order != "" {
		if err := placeFirst(ctx, y, order); err != nil {
			return nil, nil, errors.Join(err, y.close())
		}
	}
	r.FirstCommit = time.Since(began).Seconds()
	for _, n := range y.node.OrdersByStatus() {
		r.Entities += n
	}
	return r, y.close, nil
}

// profileStart profiles the start when ORDERYARD_BENCH_CPUPROFILE names a file.
func profileStart() (stop func(), err error) {
	name := os.Getenv("ORDERYARD_BENCH_CPUPROFILE")
	if name == "" {
		return func() {}, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = file.Close() }, nil
}

func placeFirst(ctx context.Context, y *yard, external string) error {
	conn, err := nats.Connect(y.server.ClientURL())
	if err != nil {
		return err
	}
	defer conn.Close()
	body := fmt.Sprintf(`{"channel":%q,"external_id":%q,"currency":"USD","ship_to":{"country":"US","postal_code":"80202"},`+
		`"lines":[{"id":"1","sku":%q,"quantity":1,"unit_price":100}]}`, benchChannel, external, fillSKU(0))
	ctx, cancel := context.WithTimeout(ctx, acceptedWithin)
	defer cancel()
	reply, err := conn.RequestMsgWithContext(ctx, &nats.Msg{Subject: messages.PlaceSubject(benchChannel), Data: []byte(body)})
	if err != nil {
		return fmt.Errorf("place the first order: %w", err)
	}
	if f := failureOf(reply); f != nil {
		return fmt.Errorf("place the first order: %w", f)
	}
	return nil
}

// weigh waits, and reads what the process has.
func (r *memoryReading) weigh(ctx context.Context, rest time.Duration, profile string) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rest):
	}
	r.AtRest, r.Peak = statusBytes("VmRSS"), peakRSS()
	runtime.GC()
	runtime.GC() // what finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.Heap = int64(m.HeapAlloc)
	if profile == "" {
		return nil
	}
	file, err := os.Create(profile)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("heap").WriteTo(file, 0), file.Close())
}

// statusBytes reads a line of /proc/self/status; 0 where there is none.
func statusBytes(name string) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// weighed runs the process to its line. kill ends it as kill -9 does; else it stops cleanly.
func weighed(ctx context.Context, a *app, kill bool, args ...string) (*memoryReading, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"bench", "memory-node", "--began", strconv.FormatInt(time.Now().UnixNano(), 10)}, args...)...)
	cmd.Stderr = a.err
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the node: %w", err)
	}
	line, readErr := bufio.NewReader(out).ReadBytes('\n')
	if kill {
		_ = cmd.Process.Kill() // it may have ended by itself: Wait tells
	}
	_ = in.Close()
	waitErr := cmd.Wait()
	if readErr != nil {
		return nil, fmt.Errorf("the node ended before it was weighed: %w", errors.Join(waitErr, readErr))
	}
	r := new(memoryReading)
	if err := json.Unmarshal(line, r); err != nil {
		return nil, fmt.Errorf("read what the node says: %w", err)
	}
	debug.FreeOSMemory() // the next one is to have the machine
	return r, nil
}
