package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// sources are where a configuration is read from.
type sources struct {
	file    string            // YAML, or "" for none
	environ []string          // as os.Environ gives it
	flags   map[string]string // by key; only those that were given
}

const prefix = "IDP_"

// load reads the configuration and fills in the defaults. It refuses what it
// does not know, so that a mistyped setting is never a setting left out.
func load(s sources) (*Config, error) {
	k := koanf.New(".")
	if s.file != "" {
		if err := k.Load(file.Provider(s.file), yaml.Parser()); err != nil {
			return nil, fmt.Errorf("%s: %w", s.file, err)
		}
	}
	var wrong problems
	vars := env.Provider(".", env.Opt{Prefix: prefix, TransformFunc: wrong.variable,
		EnvironFunc: func() []string { return s.environ }})
	if err := k.Load(vars, nil); err != nil {
		return nil, err
	}
	for key, value := range s.flags {
		if err := k.Load(confmap.Provider(map[string]any{key: value}, "."), nil); err != nil {
			return nil, err
		}
	}
	c := wrong.decode(k)
	if len(wrong) > 0 {
		return nil, wrong
	}
	c.fill()
	return c, nil
}

// decode reads the merged tree into a Config.
func (p *problems) decode(k *koanf.Koanf) *Config {
	for _, key := range secretKeys() {
		path := k.String(key + "_file")
		if path == "" {
			continue
		}
		if k.Exists(key) {
			p.add(key, errors.New("is set twice: by itself, and by "+key+"_file"))
		}
		k.Delete(key + "_file")
		p.add(key, k.Set(key, p.secretFile(key+"_file", path)))
	}
	var c Config
	var meta mapstructure.Metadata
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{FlatPaths: true, DecoderConfig: &mapstructure.DecoderConfig{
		Metadata: &meta, Result: &c, WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","), dayAsText),
	}})
	p.decoding(err)
	for _, key := range k.Keys() {
		if !slices.Contains(allKeys(), key) {
			p.unknown(key)
		}
	}
	for _, key := range meta.Unused {
		if strings.HasPrefix(key, "clients[") {
			p.unknown(key)
		}
	}
	for i := range c.Clients {
		if path := c.Clients[i].SecretFile; path != "" {
			c.Clients[i].Secret = Secret(p.secretFile(fmt.Sprintf("clients[%d].secret_file", i), path))
		}
	}
	return &c
}

// variable turns IDP_A__B=v into the key a.b. A variable ending in _FILE sets
// the key ending in _file; decode reads the file.
func (p *problems) variable(name, value string) (string, any) {
	if name == prefix+"CONFIG" {
		return "", nil // the file itself; see configFile
	}
	key := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, prefix), "__", "."))
	if name != variableOf(key) || !slices.Contains(allKeys(), key) {
		p.add(name, fmt.Errorf("is not a setting; the nearest is %s", variableOf(nearest(key, allKeys()))))
		return "", nil
	}
	return key, value
}

func variableOf(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
}

// unknown says which setting was perhaps meant.
func (p *problems) unknown(key string) {
	known := allKeys()
	name := key
	if i := strings.Index(key, "]."); i > 0 {
		name, known = key[i+2:], keysOf(reflect.TypeFor[ClientConfig]())
	}
	p.add(key, fmt.Errorf("is not a setting; the nearest is %s", nearest(name, known)))
}

func (p *problems) secretFile(key, path string) string {
	b, err := os.ReadFile(path)
	p.add(key, err)
	return strings.TrimRight(string(b), "\r\n")
}

// allKeys are the keys of Config, and those that name a secret's file.
func allKeys() []string {
	keys := keysOf(reflect.TypeFor[Config]())
	for _, s := range secretKeys() {
		keys = append(keys, s+"_file")
	}
	return keys
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		keys = append(keys, f.Tag.Get("koanf"))
	}
	return keys
}

func secretKeys() []string {
	var keys []string
	for f := range reflect.TypeFor[Config]().Fields() {
		if f.Type == reflect.TypeFor[Secret]() {
			keys = append(keys, f.Tag.Get("koanf"))
		}
	}
	return keys
}

// problems are all that is wrong with a configuration, each by its key.
type problems []string

func (p *problems) add(key string, err error) {
	if err != nil {
		*p = append(*p, key+": "+err.Error())
	}
}

// decoding adds what the decoder found, each by its key.
func (p *problems) decoding(err error) {
	var many interface{ Unwrap() []error }
	var one *mapstructure.DecodeError
	switch {
	case errors.As(err, &many):
		for _, e := range many.Unwrap() {
			p.decoding(e)
		}
	case errors.As(err, &one) && slices.Contains(secretKeys(), one.Name()):
		p.add(one.Name(), errors.New("must be text")) // and is not repeated here
	case errors.As(err, &one):
		p.add(one.Name(), one.Unwrap())
	case err != nil:
		*p = append(*p, err.Error())
	}
}

// each adds every one of the joined errors, which begin with their key.
func (p *problems) each(err error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			p.each(one)
		}
		return
	}
	if err != nil {
		*p = append(*p, err.Error())
	}
}

// err is nil if there are none.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Error lists them all, in order.
func (p problems) Error() string {
	lines := slices.Compact(slices.Sorted(slices.Values(p)))
	return "the configuration is refused:\n  " + strings.Join(lines, "\n  ")
}

// nearest returns the known name that takes the fewest changes.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance is Levenshtein's, over bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// dayAsText takes a day as it stands in a file: YAML makes a time of one without
// quotes.
func dayAsText(_, to reflect.Type, v any) (any, error) {
	if t, ok := v.(time.Time); ok && to.Kind() == reflect.String {
		return t.Format(time.DateOnly), nil
	}
	return v, nil
}
