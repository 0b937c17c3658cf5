package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"orderyard/cmd/orderyard/child"
)

// Redis is one Redis server with a store of its own.
type Redis struct {
	server *child.Process
	client *redis.Client
	conns  []*redis.Conn
}

// redisConf is read from standard input, so that the password stands in no list of processes.
const redisConf = `
bind 127.0.0.1
port %d
dir %q
requirepass %s
appendonly yes
appendfsync always
save ""
daemonize no
`

// StartRedis starts a server with an empty store in dir and opens a connection for every client. Stop ends it.
func StartRedis(ctx context.Context, dir string, clients int) (*Redis, error) {
	program, ok := findRedis()
	if !ok {
		return nil, fmt.Errorf("Redis %w: apt-get install redis-server", ErrMissing)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := ownDir(dir, nil); err != nil {
		return nil, fmt.Errorf("folder of Redis: %w", err)
	}
	r, password := &Redis{}, secret()
	if r.server, err = child.Start(child.Options{Argv: []string{program, "-"}, Dir: dir, Stdin: fmt.Sprintf(redisConf, port, dir, password)}); err != nil {
		return nil, err
	}
	redis.SetLogger(quiet{})
	r.client = redis.NewClient(&redis.Options{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Password: password, PoolSize: clients + 1, MaxRetries: -1,
	})
	if err := r.await(ctx); err != nil {
		r.Stop()
		return nil, err
	}
	for range clients {
		r.conns = append(r.conns, r.client.Conn())
	}
	return r, nil
}

func findRedis() (string, bool) { return find("redis-server") }

// quiet keeps the driver from writing about a server that is not up yet.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// await waits until the server answers, and asks whether it syncs every write.
func (r *Redis) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := r.client.Ping(ctx).Err()
		if err == nil {
			break
		}
		select {
		case <-r.server.Ended():
			return fmt.Errorf("Redis ended at its start: %w", errors.Join(err, r.server.Failed()))
		case <-ctx.Done():
			return fmt.Errorf("Redis does not answer: %w", err)
		case <-time.After(connectPause):
		}
	}
	settings, err := r.client.ConfigGet(ctx, "append*").Result()
	if err != nil {
		return err
	}
	if settings["appendonly"] != "yes" || settings["appendfsync"] != "always" {
		return fmt.Errorf("Redis does not sync every write: %v", settings)
	}
	return nil
}

// CPU is what the server has used.
func (r *Redis) CPU() time.Duration { return r.server.CPU() }

// Stop ends the server.
func (r *Redis) Stop() {
	for _, c := range r.conns {
		_ = c.Close() // nothing is under way
	}
	if r.client != nil {
		_ = r.client.Close()
	}
	r.server.Stop(syscall.SIGTERM, endsWithin)
}

const (
	hotKey   = "stock:hot"
	holdsKey = "holds:hot"
)

// reserveScript checks, takes and writes the reservation down in one atomic step. A repeated id changes nothing, as in the others.
var reserveScript = redis.NewScript(`
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 2 end
if tonumber(redis.call('HGET', KEYS[1], 'available')) < 1 then return 0 end
redis.call('HINCRBY', KEYS[1], 'available', -1)
redis.call('HSET', KEYS[2], ARGV[1], 1)
return 1`)

// Hot puts units of one SKU on sale.
func (r *Redis) Hot(ctx context.Context, stock int64) error {
	if err := r.client.HSet(ctx, hotKey, "available", stock).Err(); err != nil {
		return err
	}
	return reserveScript.Load(ctx, r.client).Err()
}

// Reserve takes one unit. Each client may be used by one goroutine at a time.
func (r *Redis) Reserve(ctx context.Context, client int, id string) error {
	return taken(reserveScript.EvalSha(ctx, r.conns[client], []string{hotKey, holdsKey}, id))
}

// ReserveMany takes one unit n times over one connection, sent together.
func (r *Redis) ReserveMany(ctx context.Context, client int, id string, n int) error {
	pipe := r.conns[client].Pipeline()
	answers := make([]*redis.Cmd, n)
	for i := range n {
		answers[i] = reserveScript.EvalSha(ctx, pipe, []string{hotKey, holdsKey}, id+"-"+strconv.Itoa(i))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for _, a := range answers {
		if err := taken(a); err != nil {
			return err
		}
	}
	return nil
}

func taken(a *redis.Cmd) error {
	n, err := a.Int()
	if err == nil && n != 1 {
		err = fmt.Errorf("Redis refused a reservation with %d", n)
	}
	return err
}

// CheckHot compares what was sold and what is left with what was there.
func (r *Redis) CheckHot(ctx context.Context, stock, granted int64) error {
	left, err := r.client.HGet(ctx, hotKey, "available").Int64()
	if err != nil {
		return fmt.Errorf("check Redis: %w", err)
	}
	sold, err := r.client.HLen(ctx, holdsKey).Result()
	if err != nil {
		return fmt.Errorf("check Redis: %w", err)
	}
	return checkSum("Redis", stock, left, sold, granted)
}

// BucketFields are what an answer about a bucket is made of.
var BucketFields = []string{"on_hand", "reserved", "allocated", "safety_stock", "unsellable"}

// Count writes buckets, the values in the order of BucketFields.
func (r *Redis) Count(ctx context.Context, buckets map[string][]int64) error {
	pipe := r.client.Pipeline()
	for key, values := range buckets {
		fields := make([]any, 0, 2*len(values))
		for i, v := range values {
			fields = append(fields, BucketFields[i], v)
		}
		pipe.HSet(ctx, "bucket:"+key, fields...)
	}
	_, err := pipe.Exec(ctx)
	return err
}

// Availability reads buckets with one HMGET each, sent together, and gives what can be promised of each.
func (r *Redis) Availability(ctx context.Context, client int, keys []string) ([]int64, error) {
	pipe := r.conns[client].Pipeline()
	answers := make([]*redis.SliceCmd, len(keys))
	for i, key := range keys {
		answers[i] = pipe.HMGet(ctx, "bucket:"+key, BucketFields...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	atp := make([]int64, len(keys))
	for i, a := range answers {
		for at, value := range a.Val() {
			text, ok := value.(string)
			if !ok {
				return nil, fmt.Errorf("Redis has no %s of %s", BucketFields[at], keys[i])
			}
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, err
			}
			if at > 0 {
				n = -n
			}
			atp[i] += n
		}
	}
	return atp, nil
}
