package peers

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"orderyard/cmd/orderyard/child"
)

// Postgres is one PostgreSQL server with a store of its own.
type Postgres struct {
	bin      string // folder of the programs
	dir      string
	port     int
	password string
	owner    *syscall.Credential
	server   *child.Process
}

const (
	postgresUser = "bench"
	// connectPause is between two attempts while the server starts: it must not blur the time of a recovery.
	connectPause = 5 * time.Millisecond
)

// postgresConf is what differs from the defaults: durable, which is the default but must not depend on a package's, no sockets in shared
// folders, and a cache that holds everything.
const postgresConf = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = %d
shared_buffers = 256MB
fsync = on
synchronous_commit = on
full_page_writes = on
log_min_messages = warning
`

// StartPostgres makes an empty store in dir and starts a server on it that takes so many connections. Stop ends it.
func StartPostgres(ctx context.Context, dir string, connections int) (*Postgres, error) {
	server, ok := findPostgres()
	if !ok {
		return nil, fmt.Errorf("PostgreSQL %w: apt-get install postgresql", ErrMissing)
	}
	p := &Postgres{bin: filepath.Dir(server), dir: dir, password: secret()}
	var err error
	if p.owner, err = unprivileged(); err != nil {
		return nil, err
	}
	if p.port, err = freePort(); err != nil {
		return nil, err
	}
	if err := p.init(connections); err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	c, err := p.Await(ctx)
	if err != nil {
		p.Stop()
		return nil, err
	}
	defer c.Close(ctx)
	if err := p.checkDurable(ctx, c); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func findPostgres() (string, bool) {
	return find("postgres", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin")
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

// init makes the store.
func (p *Postgres) init(connections int) error {
	if err := ownDir(p.dir, p.owner); err != nil {
		return fmt.Errorf("folder of PostgreSQL: %w", err)
	}
	file := filepath.Join(p.dir, "password")
	if err := os.WriteFile(file, []byte(p.password), 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	if p.owner != nil {
		if err := os.Chown(file, int(p.owner.Uid), int(p.owner.Gid)); err != nil {
			return err
		}
	}
	initdb, err := child.Start(child.Options{
		Argv: []string{
			filepath.Join(p.bin, "initdb"), "--pgdata=" + p.data(), "--username=" + postgresUser, "--pwfile=" + file, "--auth=scram-sha-256",
			"--encoding=UTF8", "--locale=C",
		},
		Dir: p.dir, Credential: p.owner, Env: plainEnv(),
	})
	if err != nil {
		return err
	}
	late := time.AfterFunc(initWithin, initdb.Kill)
	defer late.Stop()
	<-initdb.Ended()
	if err := initdb.Failed(); err != nil {
		return fmt.Errorf("make a PostgreSQL store in %s (the user PostgreSQL runs as must be able to enter the folders above): %w", p.dir, err)
	}
	conf, err := os.OpenFile(filepath.Join(p.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer conf.Close()
	_, err = fmt.Fprintf(conf, postgresConf, connections+10)
	return err
}

// plainEnv keeps a person's own PG… variables out.
func plainEnv() []string { return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"} }

// Start starts the server again after a crash, or for the first time, and does not wait.
func (p *Postgres) Start() error {
	var err error
	p.server, err = child.Start(child.Options{
		Argv: []string{filepath.Join(p.bin, "postgres"), "-D", p.data(), "-p", strconv.Itoa(p.port)}, Dir: p.dir, Credential: p.owner, Env: plainEnv(),
	})
	return err
}

// Connect opens one connection.
func (p *Postgres) Connect(ctx context.Context) (*pgx.Conn, error) {
	address := url.URL{
		Scheme: "postgres", User: url.UserPassword(postgresUser, p.password), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)),
		Path: "postgres", RawQuery: "sslmode=disable",
	}
	return pgx.Connect(ctx, address.String())
}

// Await connects as soon as the server lets anybody in.
func (p *Postgres) Await(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		c, err := p.Connect(ctx)
		if err == nil {
			return c, nil
		}
		select {
		case <-p.server.Ended():
			return nil, fmt.Errorf("PostgreSQL ended at its start: %w", p.server.Failed())
		case <-ctx.Done():
			return nil, fmt.Errorf("PostgreSQL does not answer: %w", err)
		case <-time.After(connectPause):
		}
	}
}

// checkDurable asks the server itself: a figure without a sync would be no figure.
func (p *Postgres) checkDurable(ctx context.Context, c *pgx.Conn) error {
	for _, name := range []string{"fsync", "synchronous_commit"} {
		var value string
		if err := c.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return err
		}
		if value != "on" {
			return fmt.Errorf("PostgreSQL runs with %s = %s", name, value)
		}
	}
	return nil
}

// Crash is kill -9 of the server and all its helpers, as when the machine's memory runs out; it returns when all are gone. The helpers
// would end by themselves, a little later: killing them with their parent is in the peer's favor.
func (p *Postgres) Crash() {
	helpers := p.server.Children()
	p.server.Kill()
	for _, pid := range helpers {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
	for end := time.Now().Add(endsWithin); time.Now().Before(end); time.Sleep(time.Millisecond) {
		left := false
		for _, pid := range helpers {
			left = left || alive(pid)
		}
		if !left {
			return
		}
	}
}

// CPU is what the server and its helpers have used.
func (p *Postgres) CPU() time.Duration { return p.server.CPU() }

// Stop ends the server at once and cleanly enough to be removed: open connections do not hold it up.
func (p *Postgres) Stop() {
	if p.server != nil {
		p.server.Stop(syscall.SIGQUIT, endsWithin) // "immediate shutdown"
	}
}

// alive says whether a process still runs; one that waits to be buried does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}
