package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/configs"
)

// A node's connections come back for ever and fast: a NATS server that was restarted is in use again within these pauses, and a link that
// died without a word is noticed by pings.
const (
	reconnectWait   = 100 * time.Millisecond
	reconnectJitter = 50 * time.Millisecond
	natsPingEvery   = time.Second
	natsPingsLost   = 2
	natsDialWithin  = 2 * time.Second
)

// connect opens a connection to the node's NATS, embedded or not. Options given go over the usual ones.
func (y *yard) connect(options ...nats.Option) (*nats.Conn, error) {
	if y.server != nil {
		conn, err := y.server.Connect(options...)
		if err != nil {
			return nil, fmt.Errorf("connect to the embedded NATS server: %w", err)
		}
		return conn, nil
	}
	usual, err := natsOptions(y.cfg.NATS, y.log)
	if err != nil {
		return nil, err
	}
	conn, err := nats.Connect(y.cfg.NATS.URL, append(usual, options...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", y.cfg.NATS.Shown(), err)
	}
	return conn, nil
}

func natsOptions(c configs.NATS, log *slog.Logger) ([]nats.Option, error) {
	options := []nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.ReconnectBufSize(-1), // what cannot be sent fails now: who waits for it decides
		nats.PingInterval(natsPingEvery), nats.MaxPingsOutstanding(natsPingsLost), nats.Timeout(natsDialWithin),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("NATS connection lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) { log.Info("NATS connection is back", "server", c.ConnectedServerName()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if !errors.Is(err, nats.ErrConnectionClosed) {
				log.Warn("NATS", "error", err)
			}
		}),
	}
	identity, err := natsIdentity(c, nodeIdentity)
	return append(options, identity...), err
}

// identityWords are what somebody calls the files by which a connection proves who it is.
type identityWords struct{ creds, nkey, tls string }

var nodeIdentity = identityWords{"nats.creds", "nats.nkey", "nats.tls"}

// natsIdentity makes the options by which a connection proves who it is and knows the server. Files that cannot be used are named.
func natsIdentity(c configs.NATS, words identityWords) (options []nats.Option, err error) {
	if c.Creds != "" {
		creds := nats.UserCredentials(c.Creds)
		if err := tryCredentials(creds); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", words.creds, c.Creds, err)
		}
		options = append(options, creds)
	}
	if c.NKey != "" {
		key, err := nats.NkeyOptionFromSeed(c.NKey)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", words.nkey, c.NKey, err)
		}
		options = append(options, key)
	}
	secure, err := c.TLS.Load()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", words.tls, err)
	}
	if secure != nil {
		options = append(options, nats.Secure(secure))
	}
	return options, nil
}

// tryCredentials reads the file now. NATS reads it at every connection, and only then says that it cannot.
func tryCredentials(creds nats.Option) error {
	var o nats.Options
	if err := creds(&o); err != nil {
		return err
	}
	if _, err := o.UserJWT(); err != nil {
		return err
	}
	_, err := o.SignatureCB([]byte("anything"))
	return err
}
