package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// wordDead is how a keeper tells another whom it has proven dead. The other looks for itself, at once.
const wordDead = "dead"

// tellDeaths tells the other members who has just been proven dead, and those who have just joined who was so lately. A survivor that knows
// nothing of a death would let its share of the partitions lie until the session has lapsed.
func (k *Keeper) tellDeaths(events []rosterEvent) {
	var died []string
	for _, e := range events {
		if e.kind == "dead" {
			died = append(died, e.incarnation)
		}
	}
	for _, m := range k.current.Load().Members {
		news := died
		if slices.ContainsFunc(events, func(e rosterEvent) bool { return e.kind == "joined" && e.incarnation == m.Incarnation }) {
			news = k.roster.unburied()
		}
		if len(news) == 0 || m.Incarnation == k.roster.self {
			continue
		}
		k.hands.Go(func() {
			ctx, cancel := context.WithTimeout(k.ctx, tellWithin)
			defer cancel()
			body := []byte(strings.Join(news, " "))
			if err := k.o.Bus.Ask(ctx, m.Incarnation, wordDead, body, func([]byte) error { return nil }); err != nil {
				k.log.Debug("cannot tell who is dead", "member", m.Incarnation, "error", err)
			}
		})
	}
}

// hearDead is the other end of tellDeaths.
func (k *Keeper) hearDead(_ context.Context, body []byte, _ func([]byte) error) error {
	died := strings.Fields(string(body))
	if len(died) > MembersMax {
		return fmt.Errorf("hear who is dead: %d names", len(died))
	}
	for _, id := range died {
		k.hint(hint{incarnation: id, why: "another member has proven it dead", proven: true})
	}
	return nil
}

// unburied gives the dead whose session still stands: who comes now takes them for living.
func (r *roster) unburied() []string {
	var found []string
	for id, p := range r.peers {
		if p.dead != "" && p.state == SessionPresent {
			found = append(found, id)
		}
	}
	slices.Sort(found)
	return found
}
