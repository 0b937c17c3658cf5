// Package configs holds the operators' dials: the commented orderyard.yaml, its strict loader, and the demo network of sites.
//
// It promises that a process starts with exactly the configuration its operator reads in the file. Defaults live in code, the file
// goes over them, ORDERYARD_… environment variables go over both. Every mistake is found before anything starts, all of them in one
// run, each with file, line and column (or the variable's name) and the key: an unknown or repeated key, a value of another type, a
// number out of its range, two keys that contradict each other, a file that is not there, a certificate the other nodes would refuse.
// Nothing is coerced and nothing is ignored. Secrets can come from files and are hidden from whatever prints a Config.
//
// It leaves to others what the values mean at run time, and it never changes a Config after it was returned: readers share it freely.
//
// The file is read key by key over the syntax tree rather than decoded into the struct, because a decoder stops at its first error
// and an operator should not have to start five times to find five typing errors.
package configs
