package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"orderyard/persistence/jetstream"
	"orderyard/persistence/jetstream/embedded"
)

// verifyFolder audits the store in a folder that nobody serves. The server may mend or shorten what it starts on, so it gets a copy.
func (a *app) verifyFolder(ctx context.Context, dir string, o verifyOptions) (err error) {
	clone, err := os.MkdirTemp("", "orderyard-verify-")
	if err != nil {
		return fmt.Errorf("folder for the copy: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(clone)) }()
	err = embedded.Copy(dir, clone, jetstream.StreamJournal, jetstream.StreamCheckpoint, "KV_"+jetstream.BucketMeta)
	switch {
	case errors.Is(err, embedded.ErrLocked):
		return exitWith(exitConflict, err)
	case errors.Is(err, embedded.ErrNoStore):
		return exitWith(exitNotFound, err)
	case err != nil:
		return err
	}
	server, err := embedded.Start(embedded.Options{
		Dir: clone, Port: embedded.InProcessOnly, Logger: slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	defer server.Shutdown()
	conn, err := server.Connect()
	if err != nil {
		return fmt.Errorf("connect to the copy: %w", err)
	}
	defer conn.Close()
	store, err := jetstream.Open(ctx, conn, jetstream.Options{Sync: jetstream.SyncRelaxed})
	if err != nil {
		return err
	}
	o.now = nil // its history has ended
	return a.verifyStore(ctx, store, o)
}
