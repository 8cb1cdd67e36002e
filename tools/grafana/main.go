// Reads a dashboard as Grafana's own types have it and writes what they kept of it: a key that they do not know is missing
// then, one that must be there is added, and a value of another type, or out of bounds, is an error.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	if err := kept(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func kept(in io.Reader, out io.Writer) error {
	runtime := cog.NewRuntime()
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	var found dashboard.Dashboard
	if err := json.NewDecoder(in).Decode(&found); err != nil {
		return err
	}
	if err := found.Validate(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(found)
}
