package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newOrderPlaceCmd(a *app) *cobra.Command {
	return a.withCommandID(&cobra.Command{
		Use:   "place FILE|-",
		Short: "Place one order from a JSON file, or from standard input",
		Long: "Place one order from a JSON file, or from standard input.\n\n" +
			"The answer comes when the order is durable. Placing the same order again answers as the first time; another order under\n" +
			"the same channel and external id is a conflict.",
		Example: "  orderyard order place examples/order.json",
		Args:    want("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := a.read(args[0], wire.OrderBytesMax)
			if err != nil {
				return err
			}
			order, errs, failure := wire.DecodeOrder(body)
			if failure != nil {
				return failure // it cannot be read, so not even its channel is known
			}
			if messages.CheckToken(order.GetChannel()) != nil {
				return messages.InvalidAll(errs)
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.close()
			// The bytes go as they are: the node finds everything else that is wrong, what only it can know included.
			got, err := c.send(cmd.Context(), messages.PlaceSubject(order.GetChannel()), a.commandID, body)
			r, done, err := show[wire.OrderReceipt](a, got, err)
			if done {
				return err
			}
			return a.printReceipt(r)
		},
	})
}

// read takes a whole file, or standard input for "-", if it has at most most bytes.
func (a *app) read(name string, most int64) ([]byte, error) {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read the file: %w", err)
		}
		defer f.Close()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(body)) > most {
		return nil, messages.Invalid("body", "%s has more than %d bytes", name, most)
	}
	return body, nil
}
