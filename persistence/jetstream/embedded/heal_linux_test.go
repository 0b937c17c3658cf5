package embedded_test

import (
	"context"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence/jetstream/embedded"
)

// TestRoomAgain proves that a store which could not write, as on a full disk, takes messages again once there is room, over the same connection and
// at the same port, with everything that was acknowledged and no more. The disk is this process's limit for a file.
func TestRoomAgain(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ) // else the kernel ends the process
	defer signal.Reset(syscall.SIGXFSZ)
	s, err := embedded.Start(embedded.Options{Dir: t.TempDir(), SyncAlways: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	url := s.ClientURL()
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.FileStorage})
	if err != nil {
		t.Fatal(err)
	}
	publish := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := js.Publish(ctx, "s", make([]byte, 16<<10))
		return err
	}
	var whole syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &whole); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &whole); err != nil {
			t.Error(err)
		}
	}
	defer restore()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 256 << 10, Max: whole.Max}); err != nil {
		t.Fatal(err)
	}
	acked := uint64(0)
	for publish() == nil {
		if acked++; acked > 1000 {
			t.Fatal("the limit is none")
		}
	}
	for end := time.Now().Add(1200 * time.Millisecond); time.Now().Before(end); { // more than one look at the store
		if publish() == nil {
			t.Fatal("a message was acknowledged that cannot be stored")
		}
	}
	restore()
	for end := time.Now().Add(20 * time.Second); publish() != nil; {
		if time.Now().After(end) {
			t.Fatal("there is room, and the store takes nothing")
		}
	}
	info, err := stream.Info(t.Context())
	if err != nil || info.State.Msgs < acked+1 || info.State.Msgs > acked+3 { // what was cut off by a time-out may be there
		t.Fatalf("%d messages were acknowledged, there are %+v, %v", acked+1, info.State, err)
	}
	if s.ClientURL() != url {
		t.Fatalf("the server moved from %s to %s", url, s.ClientURL())
	}
}
