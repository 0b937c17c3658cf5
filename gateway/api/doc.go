// Package api is the HTTP door. In this cut it serves what a supervisor and a scraper need: /livez, /readyz and /metrics.
//
// It listens on the loopback address unless told otherwise: metrics name sites' load, and nothing here asks who is calling.
// Every connection has time limits, so that a slow or silent peer holds nothing for long.
package api
