// Package bare keeps protoactor actors that do nothing, as many as wanted: what an entity would weigh at least if it stayed an actor while nobody
// asks for it. It is the other side of `orderyard bench memory`, and of no use to a node.
package bare
