package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"orderyard/gateway/api"
)

const healthAnswerMax = 4096

func newHealthCmd(a *app) *cobra.Command {
	addr := a.getenv("ORDERYARD_HTTP_ADDR")
	if addr == "" {
		addr = api.DefaultAddr
	}
	live := false
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the node of this machine whether it serves, for containers that have no other program",
		Args:  want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := "/readyz"
			if live {
				path = "/livez"
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
			defer cancel()
			return a.health(ctx, addr, path)
		},
	}
	cmd.Flags().StringVar(&addr, "http", addr, "address of the node's probes, or ORDERYARD_HTTP_ADDR")
	cmd.Flags().BoolVar(&live, "live", false, "ask only whether the process lives")
	return cmd
}

// health asks once; a node that listens on every address is asked on this machine's own.
func (a *app) health(ctx context.Context, addr, path string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return usage("--http must be host:port, is %q", addr)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	where := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return usage("--http: %v", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return exitWith(exitUnavailable, fmt.Errorf("no node answers at %s: %w", where.Host, err))
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, healthAnswerMax))
	if err != nil {
		return exitWith(exitUnavailable, fmt.Errorf("read the answer of %s: %w", where.Host, err))
	}
	if res.StatusCode != http.StatusOK {
		return exitWith(exitUnavailable, fmt.Errorf("%s: %s", res.Status, strings.TrimSpace(string(text))))
	}
	return a.println(strings.TrimSpace(string(text)))
}
