package gossip

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	// messageMax bounds what one stream message may hold: protoactor puts up to a thousand envelopes into one.
	messageMax = 64 << 20
	// writerQueue is what protoactor's writer allocates per peer; its own default takes 16 MB.
	writerQueue = 4096
	// aliveEvery and aliveWithin find dead streams. gRPC's client end asks every 10 s at most; the server's end, and TCP's own timer
	// for unacknowledged bytes, which gRPC sets to aliveWithin, are what is fast.
	aliveEvery  = time.Second
	aliveWithin = 2 * time.Second
	// dialWithin bounds the wait for a peer that does not even refuse.
	dialWithin = time.Second
)

// remoteConfig sets up the door for requests. Without these options a batch above 4 MiB ends its stream with all that is in it, an unknown
// message ends the process, and a peer that refuses is waited for ten seconds.
func remoteConfig(d door, t *tls.Config, log *slog.Logger) *remote.Config {
	creds := insecure.NewCredentials()
	if t != nil {
		creds = credentials.NewTLS(t)
	}
	c := remote.Configure(bracket(d.ip.String()), d.port,
		remote.WithAdvertisedHost(d.addr()),
		remote.WithEndpointWriterQueueSize(writerQueue),
		remote.WithServerOptions(
			grpc.Creds(creds),
			grpc.MaxRecvMsgSize(messageMax),
			grpc.StreamInterceptor(recoverStream(log)),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: aliveEvery, Timeout: aliveWithin}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: aliveEvery, PermitWithoutStream: true}),
		),
		remote.WithDialOptions(
			grpc.WithTransportCredentials(creds),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageMax)),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: aliveEvery, Timeout: aliveWithin, PermitWithoutStream: true}),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: dialWithin}),
			grpc.WithNoProxy(),
		))
	c.MaxRetryCount = 1
	return c
}

// bracket writes an IPv6 address as protoactor's "host:port" needs it.
func bracket(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]"
	}
	return host
}

// recoverStream keeps a message of an unknown type, at which protoactor's reader panics, from ending the process: only its stream ends.
func recoverStream(log *slog.Logger) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
		defer func() {
			if r := recover(); r != nil {
				log.Error("stream of a peer ended by a panic", "panic", r)
				err = fmt.Errorf("reader panicked: %v", r)
			}
		}()
		return handle(server, stream)
	}
}

// bound finds the port of a door that may take any, and says early and clearly when it is taken: protoactor panics.
func (d *door) bound(what string) error {
	addr := net.JoinHostPort(d.ip.String(), strconv.Itoa(d.port))
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for %s on %s: %w", what, addr, err)
	}
	d.port = l.Addr().(*net.TCPAddr).Port
	if d.advertisePort == 0 {
		d.advertisePort = d.port
	}
	return l.Close()
}

func newSystem(incarnation string, log *slog.Logger) *actor.ActorSystem {
	system := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(newQuiet(log.With("from", "protoactor").Handler()))
		}),
		actor.WithDeadLetterRequestLogging(false), actor.WithDeadLetterThrottleCount(1),
	)
	system.ID = incarnation // so that the member protoactor knows and the one the cluster knows bear one name
	return system
}
