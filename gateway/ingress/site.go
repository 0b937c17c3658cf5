package ingress

import (
	"orderyard/gateway/wire"
	"orderyard/messages"
)

const (
	doorSite        = "site"
	doorFulfillment = "fulfillment"
)

func (in *Ingress) siteEndpoints() []endpoint {
	return []endpoint{
		{doorSite, "apply", messages.SiteSubject("apply"), in.applySite, inside},
		{doorSite, "get", messages.SiteSubject("get"), one[wire.GetSiteRequest](reading, siteAnswer), partyLook},
		{doorSite, "list", messages.SiteSubject("list"), in.listSites, partyLook},
		{doorSite, "pause", messages.SiteSubject("pause"), one[wire.PauseSiteRequest](changing, siteAnswer), inside},
		{doorSite, "resume", messages.SiteSubject("resume"), one[wire.ResumeSiteRequest](changing, siteAnswer), inside},
		{doorSite, "capacity", messages.SiteSubject("capacity"), one[wire.SiteCapacityRequest](changing, siteAnswer), inside},
	}
}

func siteAnswer(r *messages.Reply, _ messages.Command) any { return wire.SiteAnswerOf(r) }

// applySite takes one site document or a list.
func (in *Ingress) applySite(q *query) {
	docs, many, f := wire.DecodeOneOrMany[wire.Site](q.body)
	if f != nil {
		q.garbage(f)
		return
	}
	b := batch{kind: changing, replies: make([]*messages.Reply, len(docs)), commands: make([]messages.Command, len(docs))}
	for i := range docs {
		doc, f := docs[i].Message(in.o.Locate)
		apply, to := &messages.ApplySite{Doc: doc}, messages.SiteRef(docs[i].ID)
		if f != nil {
			f = in.allFaults(f.GetErrors(), apply)
		}
		b.add(i, messages.Request{To: to, Command: apply, CommandID: q.idFor(to)}, f)
	}
	if many {
		b.ask(q, func(replies []*messages.Reply, _ []messages.Command) any { return wire.SiteListAnswerOf(replies) })
		return
	}
	if f := b.replies[0].GetFailure(); f != nil {
		q.refuse(f)
		return
	}
	q.ask(b.reqs[0], func(r *messages.Reply) any { return wire.SiteAnswerOf(r) })
}

func (in *Ingress) listSites(q *query) {
	var r wire.SiteListRequest
	if f := decodeBody(q.body, &r); f != nil {
		q.garbage(f)
		return
	}
	sites := in.o.Directory.Sites()
	reqs := make([]messages.Request, len(sites))
	for i, site := range sites {
		reqs[i] = messages.Request{To: messages.SiteRef(site), Command: &messages.GetSite{}}
	}
	q.askAll(reqs, func(replies []*messages.Reply) (any, *messages.Reply) {
		return wire.SiteListAnswerOf(replies), worst(replies)
	})
}

func (in *Ingress) fulfillmentEndpoints() []endpoint {
	list := []endpoint{{doorFulfillment, "list", messages.FulfillmentSubject("list", "*"), listFulfillments, partyLook}}
	for _, verb := range wire.FulfillmentVerbs {
		list = append(list, endpoint{doorFulfillment, verb, messages.FulfillmentSubject(verb, "*"), fulfillmentAction(verb), inside})
	}
	return list
}

// fulfillmentAction passes on what a site's own system says. The site is the subject's: permissions are given by subject.
func fulfillmentAction(verb string) func(*query) {
	return func(q *query) {
		var r wire.FulfillmentRequest
		if f := decodeLong(q.body, &r); f != nil {
			q.garbage(f)
			return
		}
		to, cmd, f := r.Command(verb, messages.LastToken(q.subject))
		if f != nil {
			q.refuse(f)
			return
		}
		q.ask(messages.Request{To: to, Command: cmd, CommandID: q.idFor(to)}, func(r *messages.Reply) any {
			return wire.FulfillmentAnswerOf(r)
		})
	}
}

func listFulfillments(q *query) {
	var r wire.FulfillmentListRequest
	if f := decodeBody(q.body, &r); f != nil {
		q.garbage(f)
		return
	}
	q.fewer = "limit"
	to, cmd, f := r.Command(messages.LastToken(q.subject))
	if f != nil {
		q.refuse(f)
		return
	}
	q.ask(messages.Request{To: to, Command: cmd}, func(r *messages.Reply) any { return wire.FulfillmentListAnswerOf(r) })
}
