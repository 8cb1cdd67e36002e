package main

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
)

// scrapeConfig is as much of the receiver's configuration as the chart may draw; any other key is refused.
type scrapeConfig struct {
	Scrape map[string]any `mapstructure:"config"`
}

func (config *scrapeConfig) Validate() error {
	if len(config.Scrape) == 0 {
		return errors.New("config: names nothing to scrape")
	}
	return nil
}

// idle is a receiver that receives nothing.
type idle struct{}

func (idle) Start(context.Context, component.Host) error { return nil }
func (idle) Shutdown(context.Context) error              { return nil }

// scrape stands for Prometheus' receiver, so that pipelines can name it. It scrapes nothing.
func scrape() receiver.Factory {
	create := func(context.Context, receiver.Settings, component.Config, consumer.Metrics) (receiver.Metrics, error) {
		return idle{}, nil
	}
	return receiver.NewFactory(
		component.MustNewType("prometheus"),
		func() component.Config { return &scrapeConfig{} },
		receiver.WithMetrics(create, component.StabilityLevelBeta),
	)
}
