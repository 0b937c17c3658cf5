package bare

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
)

type idle struct{}

func (*idle) Receive(actor.Context) {}

// Start spawns actors, each with a mailbox that has been used once, and gives what ends them.
func Start(n int) (stop func()) {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	props := actor.PropsFromProducer(func() actor.Actor { return new(idle) })
	for range n {
		system.Root.Send(system.Root.Spawn(props), "")
	}
	return system.Shutdown
}
