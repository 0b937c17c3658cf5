package main

import (
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

// identityFlags say who a client is to NATS, and by whom it knows the server: the same files that a node has in its configuration.
func (a *app) identityFlags(root *cobra.Command) {
	for _, file := range []struct {
		of               *string
		flag, env, usage string
	}{
		{&a.identity.Creds, "creds", "ORDERYARD_CREDS", "file of a NATS user's JWT and seed"},
		{&a.identity.NKey, "nkey", "ORDERYARD_NKEY", "file of a NATS user's seed"},
		{&a.identity.TLS.CA, "tls-ca", "ORDERYARD_TLS_CA", "file of who signs the server's certificate"},
		{&a.identity.TLS.Cert, "tls-cert", "ORDERYARD_TLS_CERT", "file of the client's certificate, with --tls-key"},
		{&a.identity.TLS.Key, "tls-key", "ORDERYARD_TLS_KEY", "file of its private key"},
	} {
		root.PersistentFlags().StringVar(file.of, file.flag, a.getenv(file.env), file.usage+", or "+file.env)
	}
}

var clientIdentity = identityWords{"--creds", "--nkey", "--tls-ca, --tls-cert and --tls-key"}

// identityOptions reads the files. What is wrong with them is a mistake of the command line.
func (a *app) identityOptions() ([]nats.Option, error) {
	id := a.identity
	switch {
	case id.Creds != "" && id.NKey != "":
		return nil, usage("--creds and --nkey exclude each other: a client is one user")
	case (id.TLS.Cert == "") != (id.TLS.Key == ""):
		return nil, usage("--tls-cert and --tls-key go together")
	}
	options, err := natsIdentity(id, clientIdentity)
	if err != nil {
		return nil, usage("%v", err)
	}
	return options, nil
}
