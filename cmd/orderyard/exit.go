package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"orderyard/messages"
)

// Exit codes of docs/CONTRACT.md §1.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4
	exitUnavailable = 5
	exitInvariant   = 6
)

// exitError gives an error its exit code. Any other error of a command is exitFailed, a *messages.Failure by its code.
type exitError struct {
	code  int
	cause error
}

func (e *exitError) Error() string { return e.cause.Error() }
func (e *exitError) Unwrap() error { return e.cause }

// exitWith makes the process end with code when a command returns its error.
func exitWith(code int, err error) error { return &exitError{code, err} }

// usage is a mistake in the command line itself.
func usage(format string, args ...any) error { return exitWith(exitUsage, fmt.Errorf(format, args...)) }

// exitOf is the exit code of what a command returned.
func exitOf(err error) int {
	var coded *exitError
	var failure *messages.Failure
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &failure):
		return exitOfCode(failure.GetCode())
	case errors.Is(err, context.DeadlineExceeded):
		return exitUnavailable
	}
	return exitFailed
}

// exitOfCode is the one table from error codes to exit codes.
func exitOfCode(code string) int {
	switch code {
	case messages.CodeNotFound:
		return exitNotFound
	case messages.CodeConflict:
		return exitConflict
	case messages.CodeUnavailable, messages.CodeTimeout, messages.CodeLimit, messages.CodeMoved:
		return exitUnavailable
	}
	return exitFailed
}

// report says what went wrong and what to do about it, on the error stream, and returns the exit code.
func (a *app) report(cmd *cobra.Command, err error) int {
	code := exitOf(err)
	if err == nil {
		return code
	}
	fmt.Fprintf(a.err, "orderyard: %s\n", clean(sentence(err)))
	var failure *messages.Failure
	if errors.As(err, &failure) && len(failure.GetErrors()) > 1 {
		for _, e := range failure.GetErrors() {
			fmt.Fprintf(a.err, "  %s: %s\n", clean(e.GetField()), clean(e.GetMessage()))
		}
	}
	if hint := hintOf(failure); hint != "" {
		fmt.Fprintf(a.err, "%s\n", hint)
	}
	if code == exitUsage && cmd != nil {
		fmt.Fprintf(a.err, "See `%s --help`.\n", cmd.CommandPath())
	}
	return code
}

// sentence is one sentence about err; a list of field errors is announced, not repeated.
func sentence(err error) string {
	var failure *messages.Failure
	if errors.As(err, &failure) && len(failure.GetErrors()) > 1 {
		return fmt.Sprintf("%s: %d things are wrong", failure.GetCode(), len(failure.GetErrors()))
	}
	return err.Error()
}

// hintOf says what to do next about a refusal, where that is not plain from its message.
func hintOf(f *messages.Failure) string {
	switch f.GetCode() {
	case messages.CodeHeld:
		return "A hold stands in the way: `orderyard order get` names it, `orderyard order release` ends it."
	case messages.CodeLimit, messages.CodeMoved:
		return "The node is busy: try again, with a longer --timeout if you can wait."
	}
	return ""
}
