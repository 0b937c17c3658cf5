package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// eventsDefault is how many of the latest events are looked at when nothing else is asked.
const eventsDefault = 100

type eventFlags struct {
	follow, all bool
	filter      string
	last        uint64
	since       time.Duration
}

func newEventsCmd(a *app) *cobra.Command {
	f := eventFlags{last: eventsDefault}
	cmd := &cobra.Command{
		Use:   "events [-f] [--filter SUBJECT]",
		Short: "Show the public events, oldest first",
		Long: "Show the public events, oldest first: the latest ones, those of some time, or all. With -f go on with new ones until\n" +
			"Ctrl-C. SUBJECT is a NATS subject below oy.v1.evt, where * stands for one word and > for the rest.",
		Example: "  orderyard events -f --filter 'order.*.web'\n  orderyard events --since 1h --filter 'fulfillment.rejected.>' -o json",
		Args:    want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.all && (cmd.Flags().Changed("last") || f.since != 0) || f.since != 0 && cmd.Flags().Changed("last") {
				return usage("--all, --since and --last exclude each other")
			}
			return a.events(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on with new events")
	flags.StringVar(&f.filter, "filter", ">", "only events with this subject, with or without oy.v1.evt in front")
	flags.Uint64Var(&f.last, "last", eventsDefault, "look at so many of the latest events of the stream; 0 = only new ones")
	flags.DurationVar(&f.since, "since", 0, "begin so long ago")
	flags.BoolVar(&f.all, "all", false, "begin with the oldest event there is")
	return cmd
}

func (a *app) events(ctx context.Context, f eventFlags) error {
	if !validSubject(eventSubject(f.filter)) {
		return usage("--filter %q is no subject: it is words with a dot between, * for one of them, > for the rest", f.filter)
	}
	c, err := a.connect(nats.MaxReconnects(-1), func(o *nats.Options) error { o.AllowReconnect = f.follow; return nil })
	if err != nil {
		return err
	}
	defer c.close()
	messages, err := c.subscribe(ctx, f)
	if err != nil || messages == nil {
		return err
	}
	stopped := context.AfterFunc(ctx, messages.Stop)
	defer stopped()
	defer messages.Stop()
	for {
		m, err := c.nextEvent(messages, f.follow)
		switch {
		case err == nil:
		case ctx.Err() == nil:
			return exitWith(exitUnavailable, fmt.Errorf("read the events: %w", err))
		case f.follow: // Ctrl-C is how it ends
			return nil
		default:
			return exitWith(exitFailed, errors.New("interrupted before the last event"))
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		if err := a.printEvent(eventOf(m, meta)); err != nil {
			return err
		}
		if !f.follow && meta.NumPending == 0 {
			return nil
		}
	}
}

// nextEvent waits for the next event: for ever when the events are followed, else as long as for any answer.
func (c *client) nextEvent(messages jetstream.MessagesContext, follow bool) (jetstream.Msg, error) {
	if follow {
		return messages.Next()
	}
	late := time.AfterFunc(c.timeout, c.close) // in every state the reader may be in, for it opens itself anew where JetStream is silent
	m, err := messages.Next()
	if !late.Stop() && err != nil {
		err = fmt.Errorf("there are more, and none came within %v", c.timeout)
	}
	return m, err
}

// subscribe opens an ordered reader of the stream; nil when there is nothing to read and nobody wants to wait.
func (c *client) subscribe(ctx context.Context, f eventFlags) (jetstream.MessagesContext, error) {
	asking, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	js, err := jetstream.New(c.conn)
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	stream, err := js.Stream(asking, messages.StreamEvents)
	if err != nil {
		return nil, unreachable(c.server, err)
	}
	config := jetstream.OrderedConsumerConfig{FilterSubjects: []string{eventSubject(f.filter)}}
	if !f.follow {
		config.MaxResetAttempts = 1 // who does not wait for new events is told when the stream cannot be opened anew
	}
	state := stream.CachedInfo().State
	switch {
	case f.all:
		config.DeliverPolicy = jetstream.DeliverAllPolicy
	case f.since != 0:
		begin := time.Now().Add(-f.since)
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &begin
	default:
		config.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
		config.OptStartSeq = max(state.FirstSeq, state.LastSeq+1-min(f.last, state.LastSeq), 1)
	}
	consumer, err := stream.OrderedConsumer(asking, config)
	var refused *jetstream.APIError
	if errors.Is(err, jetstream.ErrInvalidSubject) || errors.As(err, &refused) && refused.Code == 400 && strings.Contains(refused.Description, "filter") {
		return nil, usage("--filter %q: %v", f.filter, err)
	}
	if err != nil {
		return nil, exitWith(exitUnavailable, fmt.Errorf("open the events: %w", err))
	}
	if !f.follow {
		info, err := consumer.Info(asking)
		if err != nil {
			return nil, exitWith(exitUnavailable, fmt.Errorf("read the events: %w", err))
		}
		if info.NumPending == 0 && info.Delivered.Consumer == 0 {
			return nil, nil
		}
	}
	return consumer.Messages()
}

// eventSubject completes what a person wrote to a whole subject.
func eventSubject(filter string) string {
	if strings.HasPrefix(filter, messages.SubjectRoot) {
		return filter
	}
	return messages.SubjectEvents + filter
}

// validSubject: NATS itself answers a subject that is none with silence.
func validSubject(subject string) bool {
	words := strings.Split(subject, ".")
	for i, word := range words {
		if word == "" || strings.ContainsFunc(word, unicode.IsSpace) || word == ">" && i < len(words)-1 {
			return false
		}
	}
	return true
}

// event is one public event as this command prints it.
type event struct {
	Position uint64          `json:"position"`
	Subject  string          `json:"subject"`
	ID       string          `json:"id,omitempty"`
	Type     string          `json:"type,omitempty"`
	Entity   string          `json:"entity,omitempty"`
	Time     string          `json:"time,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
}

// eventOf reads the CloudEvents headers, in the spelling of either binding.
func eventOf(m jetstream.Msg, meta *jetstream.MsgMetadata) event {
	attribute := func(name string) string {
		for _, prefix := range []string{"ce-", "ce_", "cloudEvents:"} {
			if v := m.Headers().Get(prefix + name); v != "" {
				return v
			}
		}
		return ""
	}
	e := event{
		Position: meta.Sequence.Stream, Subject: m.Subject(), ID: attribute("id"), Type: attribute("type"), Entity: attribute("subject"),
		Time: attribute("time"),
	}
	if e.Time == "" {
		e.Time = meta.Timestamp.UTC().Format(time.RFC3339Nano)
	}
	if json.Valid(m.Data()) {
		e.Data = m.Data()
	}
	return e
}

// eventDataShown bounds the data on one line of the table; -o json has all of it.
const eventDataShown = 100

// printEvent writes one line: events come one by one, so their columns have fixed widths.
func (a *app) printEvent(e event) error {
	if a.output == outputJSON {
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("write an event: %w", err)
		}
		return a.println(string(line))
	}
	at := e.Time
	if t, err := time.Parse(time.RFC3339Nano, e.Time); err == nil {
		at = wire.Time(t.UnixMilli()).Time().Format("2006-01-02 15:04:05.000")
	}
	var data bytes.Buffer
	if json.Compact(&data, e.Data) != nil {
		data.Reset()
	}
	shown := []rune(clean(data.String()))
	if len(shown) > eventDataShown {
		shown = append(shown[:eventDataShown], '…')
	}
	name := clean(strings.TrimPrefix(e.Subject, messages.SubjectEvents))
	return a.println(strings.TrimRight(fmt.Sprintf("%s  %-34s  %-24s  %s", clean(at), name, orDash(clean(e.Entity)), string(shown)), " "))
}
