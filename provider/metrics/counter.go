package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// label is a label and all the values it can have.
type label struct {
	name   string
	values []string
}

// other stands for every value that is in no closed set. To see one is to know
// that a set lacks something.
const other = "other"

func known(values []string, v string) string {
	if slices.Contains(values, v) {
		return v
	}
	return other
}

// counter is a counter whose series are bounded by construction.
type counter struct {
	vec    *prometheus.CounterVec
	labels []label
}

func (c *counter) inc(values ...string) {
	for i, v := range values {
		values[i] = known(c.labels[i].values, v)
	}
	c.vec.WithLabelValues(values...).Inc()
}

// zero makes the series of every combination.
func (c *counter) zero(values ...string) {
	if len(values) == len(c.labels) {
		c.vec.WithLabelValues(values...)
		return
	}
	for _, v := range c.labels[len(values)].values {
		c.zero(append(slices.Clone(values), v)...)
	}
}

// factory makes registered metrics.
type factory struct{ prometheus.Registerer }

func (f factory) counter(name, help string, labels ...label) *counter {
	names := make([]string, len(labels))
	for i, l := range labels {
		names[i] = l.name
	}
	opts := prometheus.CounterOpts{Name: prefix + name, Help: help}
	c := &counter{prometheus.NewCounterVec(opts, names), labels}
	f.MustRegister(c.vec)
	c.zero()
	return c
}

func (f factory) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: buckets})
	f.MustRegister(h)
	return h
}

func (f factory) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	opts := prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: buckets}
	h := prometheus.NewHistogramVec(opts, labels)
	f.MustRegister(h)
	return h
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + name, Help: help})
	f.MustRegister(g)
	return g
}
