//go:build nofence

package persistence

import "log/slog"

// Fenced is false in this build: what a zombie writes is accepted, and a record that does not continue the line is read all the same.
// It exists so that the fault suite can fail.
const Fenced = false

func init() {
	slog.Error("this binary was built with -tags nofence: it WILL sell units twice. It is for the fault suite only")
}
