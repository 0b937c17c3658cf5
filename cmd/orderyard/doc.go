// Command orderyard is the one binary of Orderyard: the node itself and the client commands that speak to one over NATS.
//
// It only wires. A node's parts are made and connected here and nowhere else; a client command turns arguments into one public
// request of docs/CONTRACT.md, and its answer into a table for people or into the answer's own JSON for programs. No command
// knows a business rule: what may be done with an order, a bucket or a site is decided by the node that is asked.
//
// Every subcommand lives in a file of its own name. Exit codes are the contract's; see exit.go.
package main
