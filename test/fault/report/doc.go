// Package report keeps one row per fault: what was done, what was required, what was measured, and the verdict. It prints them as an aligned
// table and writes them as JSON and Markdown, with the facts of the machine, for a run without its machine proves little.
package report
