// Package syntax reads YAML and JSON that somebody else wrote into a syntax tree, within bounds.
//
// It promises that a file costs memory and stack in proportion to its length. The parser alone does not: it recurses, and it names every value by
// its whole path, so that lists inside each other, or many values below one long key, cost the square of the file. A process that runs out of
// memory cannot be saved, so the tokens are looked at first, and what would cost too much is refused before it is parsed.
//
// It leaves to others how large a file may be and what the values mean. What a file may not say is an error of the parser, with its place.
//
// Counting brackets in the text was tried and is not enough: a bracket in a comment or in quotes opens and closes nothing.
package syntax
