// Package world starts what the fault suite breaks: NATS servers and Orderyard nodes as processes of their own, each on fixed addresses, where
// root allows it each in a network namespace of its own, so that single wires can be cut.
//
// A NATS server is the test binary itself, started again with an environment variable (Main), so that it can be killed and started on
// the same store without any program to install. Orderyard is the real binary, built once per run and set of build tags.
//
// Signals go to processes that were started here and to no others, by their ids; a child dies with the test that started it, also when that
// is killed. Everything a child says is kept in a file, and the end of it is shown when a test fails.
//
// It works on Linux; elsewhere it is empty.
package world
