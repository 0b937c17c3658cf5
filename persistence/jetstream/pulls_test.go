package jetstream_test

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Proves that many readers side by side do not have the server cut their connection off: it does with more than 64 MiB waiting for it, and what it had
// sent is lost. A dozen read slices of half a MiB, as when a node reads back its partitions, and half of them take their time with each.
func TestPullsSideBySide(t *testing.T) {
	const readers, records = 12, 70
	s, nc := open(t, serve(t, t.TempDir(), false))
	data := make([]byte, 512<<10)
	publishMany(t, nc, readers*records, func(i int) (string, []byte) { return fmt.Sprint("oy.journal.", i/records), data })
	var wg sync.WaitGroup
	for partition := range readers {
		wg.Go(func() {
			n := 0
			err := s.Read(t.Context(), partition, 0, func(uint64, []byte) error {
				if n++; partition%2 == 0 {
					time.Sleep(time.Millisecond)
				}
				return nil
			})
			if err != nil || n != records {
				t.Errorf("partition %d: %d records, %v", partition, n, err)
			}
		})
	}
	wg.Wait()
	if n := nc.Stats().Reconnects; n > 0 {
		t.Errorf("the connection was lost %d times", n)
	}
}

// Proves that a reader who takes his time with what he has read, as the event feed does when nobody takes its events, holds up no other reader.
func TestSlowReaderHoldsUpNobody(t *testing.T) {
	const readers, records = 12, 20
	s, nc := open(t, serve(t, t.TempDir(), false))
	data := make([]byte, 256<<10)
	publishMany(t, nc, (readers+1)*records, func(i int) (string, []byte) { return fmt.Sprint("oy.journal.", i/records), data })
	var stuck, slow sync.WaitGroup
	release := make(chan struct{})
	for partition := range readers {
		stuck.Add(1)
		slow.Go(func() {
			n := 0
			err := s.Read(t.Context(), partition, 0, func(uint64, []byte) error {
				if n++; n == 4 { // the first ones are asked for one by one
					stuck.Done()
					<-release
				}
				return nil
			})
			if err != nil || n != records {
				t.Errorf("partition %d: %d records, %v", partition, n, err)
			}
		})
	}
	stuck.Wait()
	n := 0
	if err := s.Read(t.Context(), readers, 0, func(uint64, []byte) error { n++; return nil }); err != nil || n != records {
		t.Errorf("%d records, %v", n, err)
	}
	close(release)
	slow.Wait()
}

// Proves that a reading survives the loss of its connection at any time, soon, and without a gap or a double.
func TestReadOverLostConnections(t *testing.T) {
	const records = 60_000
	s, nc := open(t, serve(t, t.TempDir(), false))
	publishMany(t, nc, records, func(i int) (string, []byte) { return "oy.journal.0", fmt.Append(nil, i) })
	next, began, lost := 0, time.Now(), make(chan struct{}, 1)
	var breaker sync.WaitGroup
	breaker.Go(func() {
		for range lost {
			time.Sleep(time.Duration(time.Now().UnixNano()%7) * time.Millisecond) // while records are on their way, or are looked at, or between the two
			if err := nc.ForceReconnect(); err != nil {
				t.Error(err)
			}
		}
	})
	err := s.Read(t.Context(), 0, 0, func(_ uint64, data []byte) error {
		if string(data) != fmt.Sprint(next) {
			t.Fatalf("record %d is %q", next, data)
		}
		if next++; next%7_919 == 0 {
			select {
			case lost <- struct{}{}:
			default:
			}
		}
		return nil
	})
	close(lost)
	breaker.Wait()
	if err != nil || next != records {
		t.Fatalf("%d records, %v", next, err)
	}
	if nc.Stats().Reconnects == 0 || time.Since(began) > stallsAfter {
		t.Errorf("%d connections were lost, it took %s", nc.Stats().Reconnects, time.Since(began))
	}
}

// stallsAfter is less than a reader waits for a silent consumer.
const stallsAfter = 14 * time.Second
