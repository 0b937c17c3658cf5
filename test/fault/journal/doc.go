// Package journal reads the raw records of every partition and checks the one thing that everything else rests on: that they form one
// line. No number is missing or used twice, each record holds the hash of the one before, epochs change by takeovers only, and no
// commit of an older epoch stands behind a takeover: no write of a former owner was ever accepted.
//
// It shares the decoding of a single record with package persistence and nothing of its logic.
package journal
