package gossip

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	writerQueue   = 4096     // protoactor's default allocates 16 MiB per peer
	batchBytesMax = 64 << 20 // gRPC's 4 MiB would end the stream with all that is in it
	aliveEvery    = 10 * time.Second
	aliveWithin   = 2 * time.Second
)

// remoteConfig is protoactor's remote as it is safe to use: a batch that is too large or cannot be read must cost neither the process nor
// what waits behind it, and a peer that refuses connections must not be waited for.
func (g *Gossip) remoteConfig() *remote.Config {
	host, port, _ := split(g.o.RemoteBind) // New has checked it
	transport := insecure.NewCredentials()
	if g.o.TLS != nil {
		transport = credentials.NewTLS(g.o.TLS)
	}
	c := remote.Configure(host, port,
		remote.WithAdvertisedHost(g.o.RemoteAdvertise),
		remote.WithEndpointWriterQueueSize(writerQueue),
		remote.WithServerOptions(
			grpc.Creds(transport), grpc.MaxRecvMsgSize(batchBytesMax), grpc.StreamInterceptor(recoverStream),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: aliveEvery, Timeout: aliveWithin}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: aliveEvery / 2, PermitWithoutStream: true}),
		),
		remote.WithDialOptions(
			grpc.WithTransportCredentials(transport), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(batchBytesMax)),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: aliveEvery, Timeout: aliveWithin, PermitWithoutStream: true}),
		),
	)
	c.MaxRetryCount = 1
	return c
}

// recoverStream ends one stream where protoactor would end the process: a message of a type that this version does not know.
func recoverStream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("remote reader: %v", r)
		}
	}()
	return handle(server, stream)
}
