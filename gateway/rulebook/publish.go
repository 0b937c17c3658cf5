package rulebook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nuid"

	"orderyard/messages"
)

// Draft is what somebody wants to have in force.
type Draft struct {
	Text, Tests string
	Note, By    string
	BasedOn     *int64 // the version it was made from, 0 = the built-in rules: another one in force is a conflict; nil = whatever is
}

// Result is what became of a publication or a rollback.
type Result struct {
	Activation Activation
	Unchanged  bool // it was in force already
}

// Publish checks, stores and puts in force. Its error is a *messages.Failure where the request is at fault: `invalid` with every mistake,
// `conflict` when somebody else was first, `limit` when no more versions are kept; `timeout` when the outcome is unknown. Publishing what
// is in force again changes nothing, so asking again is safe. What was stored but not put in force stays as a draft, and is taken up
// when it is published again.
func (b *Book) Publish(ctx context.Context, d Draft) (Result, error) {
	c, f := check(d.Text, d.Tests)
	if f != nil {
		return Result{}, f
	}
	now, revision, _, err := b.Active(ctx)
	if err != nil {
		return Result{}, err
	}
	v, err := b.last(ctx)
	if err != nil {
		return Result{}, err
	}
	if same, err := b.inForce(ctx, d, now, v); err != nil || same {
		return Result{now, true}, err
	}
	if err := basedOn(d.BasedOn, now); err != nil {
		return Result{}, err
	}
	if !v.holds(d) {
		v = Version{
			Number: v.Number + 1, Rules: c.Version, Hash: c.Hash, Text: d.Text, Tests: d.Tests, Sum: sumOf(d.Text, d.Tests),
			By: d.By, AtMs: b.clock(), Note: d.Note, ID: nuid.Next(),
		}
		if err := b.store(ctx, v); err != nil {
			return Result{}, err
		}
	}
	return b.activate(ctx, Activation{Number: v.Number, Rules: v.Rules, Act: ActPublish, By: d.By, Note: d.Note}, now, revision)
}

// inForce says whether the draft, to the letter, is in force.
func (b *Book) inForce(ctx context.Context, d Draft, now Activation, last Version) (bool, error) {
	if now.Number == last.Number {
		return last.holds(d), nil
	}
	v, _, err := b.Version(ctx, now.Number)
	return v.holds(d), err
}

// holds says whether the version is the draft to the letter. No version has number 0.
func (v *Version) holds(d Draft) bool { return v.Number != 0 && v.Text == d.Text && v.Tests == d.Tests }

// Rollback puts a version that is stored in force again. Its errors are those of Publish, and `not_found`. A version that this program
// cannot compile is `invalid`.
func (b *Book) Rollback(ctx context.Context, number int64, by, note string, based *int64) (Result, error) {
	now, revision, _, err := b.Active(ctx)
	if err != nil {
		return Result{}, err
	}
	v, found, err := b.Version(ctx, number)
	if err != nil {
		return Result{}, err
	}
	if !found {
		return Result{}, messages.Fail(messages.CodeNotFound, "version", "there is no version %d", number)
	}
	if _, err := v.Compile(); err != nil {
		return Result{}, messages.Invalid("version", "version %d: %v", number, err)
	}
	if now.Number == number {
		return Result{now, true}, nil
	}
	if err := basedOn(based, now); err != nil {
		return Result{}, err
	}
	return b.activate(ctx, Activation{Number: number, Rules: v.Rules, Act: ActRollback, By: by, Note: note}, now, revision)
}

func basedOn(based *int64, now Activation) error {
	if based == nil || *based == now.Number {
		return nil
	}
	return messages.Fail(messages.CodeConflict, "based_on", "version %d is in force, not %d: %s", now.Number, *based, told(now))
}

// told says who put a version in force.
func told(a Activation) string {
	if a.Seq == 0 {
		return "no rule set has been published"
	}
	return fmt.Sprintf("%s by %s at %s", a.Act, a.By, time.UnixMilli(a.AtMs).UTC().Format(time.RFC3339))
}

// store writes a new version onto the absence of one of its number.
func (b *Book) store(ctx context.Context, v Version) error {
	if v.Number > VersionsMax {
		return messages.Fail(messages.CodeLimit, "text", "%d versions are kept, which is the most", VersionsMax)
	}
	err := b.write(ctx, versionKey(v.Number), encode(v), 0)
	if errors.Is(err, errTaken) {
		other, _, readErr := b.Version(ctx, v.Number)
		if readErr != nil {
			return readErr
		}
		return messages.Fail(messages.CodeConflict, "text", "version %d was published meanwhile by %s: look at it, then publish again", v.Number, other.By)
	}
	return err
}

// activate writes the next activation onto the one that its caller has seen.
func (b *Book) activate(ctx context.Context, a, now Activation, revision uint64) (Result, error) {
	a.Seq, a.Previous, a.AtMs, a.ID = now.Seq+1, now.Number, b.clock(), nuid.Next()
	err := b.write(ctx, keyActive, encode(a), revision)
	if errors.Is(err, errTaken) {
		return b.overtaken(ctx, a)
	}
	return Result{Activation: a}, err
}

// overtaken finds out whether a was first after all, before what is in force now, and says who was first else.
func (b *Book) overtaken(ctx context.Context, a Activation) (Result, error) {
	ctx = context.WithoutCancel(ctx)
	history, err := b.activations(ctx)
	if err != nil {
		return Result{}, unknown(err)
	}
	for i := range history {
		if history[i].ID == a.ID {
			return Result{Activation: a}, nil
		}
	}
	other, _, _, err := b.Active(ctx)
	if err != nil {
		return Result{}, unknown(err)
	}
	kept := ""
	if a.Act == ActPublish {
		kept = fmt.Sprintf("; yours is kept as version %d", a.Number)
	}
	return Result{}, messages.Fail(messages.CodeConflict, "version", "version %d was put in force meanwhile: %s%s. Look at it, then ask again",
		other.Number, told(other), kept)
}

// errTaken says that the key holds what another has written.
var errTaken = errors.New("another was first")

// write stores a value under a key at the revision it must have, once. An error of the store proves nothing: the write may have been done,
// or may be on its way. So what is stored is read and compared, and the very same write is tried again: by its revision, at most one of
// them can succeed.
func (b *Book) write(ctx context.Context, key string, value []byte, revision uint64) error {
	for attempt := 1; ; attempt++ {
		try, cancel := context.WithTimeout(ctx, callWithin)
		_, err := b.kv.Update(try, key, value, revision)
		cancel()
		if err == nil {
			return nil
		}
		stored, at, found, readErr := b.read(context.WithoutCancel(ctx), key)
		switch {
		case readErr != nil:
			return unknown(errors.Join(err, readErr))
		case found && bytes.Equal(stored, value):
			return nil
		case at != revision:
			return errTaken
		case attempt == writesMax || ctx.Err() != nil:
			return unknown(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(writeAgain):
		}
	}
}

// unknown is the answer when nobody can say whether a write was done.
func unknown(cause error) error {
	return messages.Retry(messages.CodeTimeout, busyForMs, "the store does not answer, so the outcome is unknown; asking again is safe (%v)", cause)
}
