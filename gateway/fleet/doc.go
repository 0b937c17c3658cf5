// Package fleet simulates the people of all sites: it takes work from the public events, as a site's own system would, and answers
// over the public subjects: accept, pick, pack, ship, deliver, and now and then a rejection, so that re-routing is seen.
//
// It is a client like any other and holds nothing that matters: when it ends, the work stays open; when it starts, it asks every site
// for open work first. What one fulfillment order meets is a function of its id and the seed.
package fleet
