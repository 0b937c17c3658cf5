// Package api is the HTTP door. In this cut it serves what supervisors, scrapers and operators need: /livez (the process runs),
// /readyz (it takes orders; 503 with the reasons when it does not, also while it starts or drains), /metrics and /v1/cluster, and where the
// operator has said so the profiles of the Go runtime. It changes nothing.
//
// It listens on the loopback address unless told otherwise: metrics name channels, /v1/cluster names addresses, and nothing here asks who is calling.
// Every connection has time limits, so that a slow or silent peer holds nothing for long.
package api
