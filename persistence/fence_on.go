//go:build !nofence

package persistence

// Fenced says that an append carries its expectation, that a Log stops at another owner's record, and that a record which does not
// continue the line is refused. It is a constant: nothing can switch the fence off while a process runs. Only the build tag nofence can,
// and only the fault suite builds with it, to prove that its checks would see what the fence prevents.
const Fenced = true
