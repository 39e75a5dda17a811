//go:build linux

package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// object is a JSON object whose order and unknown members survive.
type object struct {
	keys   []string
	values map[string]json.RawMessage
}

// parseObject reads one JSON object, {} where b is empty. Two members of one name,
// whatever the case of its letters, are Invalid: readers differ in which counts.
func parseObject(b []byte) (*object, error) {
	o := &object{values: map[string]json.RawMessage{}}
	if len(bytes.TrimSpace(b)) == 0 {
		return o, nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "not JSON: %w", err)
	} else if t != json.Delim('{') {
		return nil, fault.Errorf(fault.Invalid, "not a JSON object")
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "not JSON: %w", err)
		}
		key, _ := t.(string) // the decoder allows nothing else
		if other := o.spelling(key); other != "" {
			return nil, fault.Errorf(fault.Invalid, "%q is there twice, as %q", key, other)
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, fault.Errorf(fault.Invalid, "%q: %w", key, err)
		}
		o.set(key, v)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.Errorf(fault.Invalid, "more than one JSON value")
	}
	return o, nil
}

// spelling returns how key is spelt in o, "" if it is not there.
func (o *object) spelling(key string) string {
	for _, k := range o.keys {
		if strings.EqualFold(k, key) {
			return k
		}
	}
	return ""
}

func (o *object) set(key string, v json.RawMessage) {
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = v
}

func (o *object) remove(key string) {
	delete(o.values, key)
	o.keys = slices.DeleteFunc(o.keys, func(k string) bool { return k == key })
}

func (o *object) compact() json.RawMessage {
	b := []byte{'{'}
	for i, k := range o.keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, quote(k)...)
		b = append(b, ':')
		b = append(b, o.values[k]...)
	}
	return append(b, '}')
}

func (o *object) format() []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, o.compact(), "", "  "); err != nil {
		panic(err) // its parts were parsed
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func quote(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and lists of them
	}
	return b
}

// daemon is what matters of the engine's configuration, by its member's name.
type daemon struct {
	Hosts    []string `json:"hosts"`
	Remap    string   `json:"userns-remap"`
	Default  string   `json:"default-runtime"`
	Plugins  []string `json:"authorization-plugins"`
	DataRoot string   `json:"data-root"`
	Graph    string   `json:"graph"` // an old name of data-root
	ExecOpts []string `json:"exec-opts"`
	Runtimes map[string]struct {
		Path string `json:"path"`
		Type string `json:"runtimeType"`
	} `json:"runtimes"`
}

// our are the members of the engine's configuration that are changed.
var our = []string{"runtimes", "default-runtime", "authorization-plugins", "hosts"}

// parseDaemon reads the engine's configuration.
func parseDaemon(b []byte) (*daemon, error) {
	o, err := parseObject(b)
	if err != nil {
		return nil, err
	}
	for _, key := range our {
		if k := o.spelling(key); k != "" && k != key {
			return nil, fault.Errorf(fault.Invalid, "%q is a strange spelling of %q", k, key)
		}
	}
	d := new(daemon)
	if err := json.Unmarshal(o.compact(), d); err != nil {
		return nil, fault.Errorf(fault.Invalid, "%w", err)
	}
	return d, nil
}

func (d *daemon) dataRoot() string {
	switch {
	case d.DataRoot != "":
		return d.DataRoot
	case d.Graph != "":
		return d.Graph
	}
	return "/var/lib/docker"
}

// patchDaemon adds to the engine's configuration the runtime at path, as the
// default, the plugin and, unless it is "", the only host. Everything else stays.
func patchDaemon(b []byte, runtime, host string) ([]byte, error) {
	d, err := parseDaemon(b)
	if err != nil {
		return nil, err
	}
	o, err := parseObject(b)
	if err != nil {
		return nil, err
	}
	runtimes, err := parseObject(o.values["runtimes"])
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, `"runtimes": %w`, err)
	}
	runtimes.set(name, quote(map[string]string{"path": runtime}))
	o.set("runtimes", runtimes.compact())
	o.set("default-runtime", quote(name))
	if !slices.Contains(d.Plugins, name) {
		d.Plugins = append(d.Plugins, name)
	}
	o.set("authorization-plugins", quote(d.Plugins))
	if host != "" {
		o.set("hosts", quote([]string{host}))
	}
	return o.format(), nil
}

// unpatchDaemon takes out of b what patchDaemon added to before, and leaves
// everything else as it is now.
func unpatchDaemon(b, before []byte) ([]byte, error) {
	d, err := parseDaemon(b)
	if err != nil {
		return nil, err
	}
	o, err := parseObject(b)
	if err != nil {
		return nil, err
	}
	old, err := parseObject(before)
	if err != nil {
		return nil, err
	}
	restore := func(key string, empty bool) {
		switch v, ok := old.values[key]; {
		case ok && empty:
			o.set(key, v)
		case empty:
			o.remove(key)
		}
	}
	if d.Default == name {
		restore("default-runtime", true)
	}
	if slices.Equal(d.Hosts, []string{"unix://" + EngineSocket}) {
		restore("hosts", true)
	}
	if rest := slices.DeleteFunc(slices.Clone(d.Plugins), func(p string) bool { return p == name }); len(rest) < len(d.Plugins) {
		o.set("authorization-plugins", quote(rest))
		restore("authorization-plugins", len(rest) == 0)
	}
	if _, ok := d.Runtimes[name]; ok {
		runtimes, err := parseObject(o.values["runtimes"])
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, `"runtimes": %w`, err)
		}
		runtimes.remove(name)
		o.set("runtimes", runtimes.compact())
		restore("runtimes", len(runtimes.keys) == 0)
	}
	return o.format(), nil
}
