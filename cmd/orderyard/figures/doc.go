// Package figures is what a benchmark leaves behind: rows of rates and latencies, goals that were met or missed, the facts of the machine,
// and a report of them as Markdown, JSON and pictures. It also holds the timetable of an open loop.
//
// It promises that a losing row looks like a winning one: every row and every goal is written, with the lowest and the highest round.
//
// It leaves measuring to the benchmarks.
package figures
