package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"orderyard/configs"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

// siteFileMax bounds a site file: thousands of sites, not a data set.
const siteFileMax = 4 << 20

func newSiteApplyCmd(a *app) *cobra.Command {
	return a.withCommandID(&cobra.Command{
		Use:   "apply FILE|-",
		Short: "Describe one site or many from a YAML or JSON file",
		Long: "Describe one site or many from a YAML or JSON file: one document, a list, or several YAML documents. A site that is known\n" +
			"is changed to what the file says; its open work is kept. Applying a file again changes nothing.",
		Example: "  orderyard site apply configs/sites/demo.yaml",
		Args:    want("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := a.read(args[0], siteFileMax)
			if err != nil {
				return err
			}
			docs, err := configs.Documents(args[0], data)
			if err != nil {
				return err
			}
			if err := checkSites(args[0], docs); err != nil {
				return err
			}
			return a.applySites(cmd, args[0], docs)
		},
	})
}

// checkSites finds a mistake before anything is sent, so that a file is applied as a whole or not at all as far as it can be seen
// here. The node checks again, and knows places and time zones.
func checkSites(name string, docs []configs.Document) error {
	for _, doc := range docs {
		var site wire.Site
		if f := wire.Decode(doc.JSON, &site); f != nil {
			return fmt.Errorf("%s:%d: %w", name, doc.Line, f)
		}
		if err := messages.CheckToken(site.ID); err != nil {
			return fmt.Errorf("%s:%d: id %w", name, doc.Line, err)
		}
	}
	return nil
}

// applySites sends the documents in batches of the contract's size and shows one row for each.
func (a *app) applySites(cmd *cobra.Command, name string, docs []configs.Document) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	t := a.table("SITE", "TYPE", "STATUS", "RESULT")
	commandID := a.listCommandID()
	failed, all := 0, wire.SiteListAnswer{Head: wire.Head{OK: true}}
	for part := 0; len(docs) > 0; part++ {
		batch := docs[:min(len(docs), siteBatch)]
		docs = docs[len(batch):]
		body := make([]json.RawMessage, len(batch))
		for i, doc := range batch {
			body[i] = doc.JSON
		}
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("write the request: %w", err)
		}
		got, err := c.send(cmd.Context(), messages.SiteSubject("apply"), partID(commandID, part), raw)
		var told wire.SiteListAnswer
		if got.body != nil {
			if err := wire.DecodeAnswer(got.body, &told); err != nil {
				return fmt.Errorf("read the answer: %w", err)
			}
		}
		if len(told.Sites) != len(batch) {
			if err == nil {
				err = fmt.Errorf("the answer has %d results for %d sites", len(told.Sites), len(batch))
			}
			return fmt.Errorf("%s:%d: %w", name, batch[0].Line, err)
		}
		all.Sites = append(all.Sites, told.Sites...)
		failed += t.applied(name, batch, told.Sites)
	}
	if a.output == outputJSON {
		all.OK = failed == 0
		body, err := wire.Encode(all)
		if err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
		if err := a.printJSON(body); err != nil {
			return err
		}
	} else if err := t.print(""); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%s failed", plural(failed, "site"))
	}
	return nil
}

// siteBatch keeps a request below what a NATS server takes: a site has at most some kilobytes.
const siteBatch = 100

// applied adds one row per site and returns how many failed.
func (r *rows) applied(name string, docs []configs.Document, answers []wire.SiteAnswer) (failed int) {
	for i, answer := range answers {
		var named struct{ ID, Type string }
		_ = json.Unmarshal(docs[i].JSON, &named) // checkSites has read it before
		if f := answer.Failure(); f != nil {
			failed++
			r.add(named.ID, named.Type, status("failed"), fmt.Sprintf("%s:%d: %s", name, docs[i].Line, f.Error()))
			continue
		}
		state := ""
		if answer.SiteView != nil {
			state = answer.SiteView.Status
		}
		r.add(named.ID, named.Type, status(state), "applied")
	}
	return failed
}
