// Package scenario has what the Go programs of the matrix share: steps, and outcomes as lines of JSON.
package scenario

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// What the environment says.
var (
	Bootstrap = os.Getenv("BOOTSTRAP")
	Prefix    = env("PREFIX", "m")
	Protocol  = env("PROTOCOL", "classic")
	Security  = env("SECURITY", "PLAINTEXT")
	Mechanism = os.Getenv("MECHANISM")
	Login     = os.Getenv("LOGIN")
	Password  = os.Getenv("PASSWORD")
	Topic     = Prefix + "-topic"
	Group     = Prefix + "-group"
	Codecs    = []string{"none", "gzip", "snappy", "lz4", "zstd"}
)

// Each is the number of records per codec.
const Each = 100

// Skip is the outcome of what a client cannot do.
type Skip string

func (s Skip) Error() string { return string(s) }

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// TLS is nil where none is spoken.  CA says whom to trust; CERT and KEY, where they are set, who we are.
func TLS() *tls.Config {
	if !strings.HasSuffix(Security, "SSL") {
		return nil
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	trusted, err := os.ReadFile(os.Getenv("CA"))
	if err != nil || !config.RootCAs.AppendCertsFromPEM(trusted) {
		panic("no certificate authority")
	}
	if own := os.Getenv("CERT"); own != "" {
		pair, err := tls.LoadX509KeyPair(own, os.Getenv("KEY"))
		if err != nil {
			panic(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

func say(what map[string]any) {
	line, _ := json.Marshal(what)
	fmt.Println(string(line))
}

// Client says who runs the scenario: the module's name and its version in this build.
func Client(name, module string) {
	version := "?"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == module {
				version = dep.Version
			}
		}
	}
	say(map[string]any{"client": name + " " + version})
}

// Step runs one step and prints its outcome.
func Step(name string, body func() error) {
	started := time.Now()
	err := body()
	var skip Skip
	out := map[string]any{"step": name}
	switch {
	case errors.As(err, &skip):
		out["skip"] = string(skip)
	case err != nil:
		out["ok"], out["note"] = false, err.Error()
	default:
		out["ok"] = true
	}
	if out["skip"] == nil {
		out["ms"] = time.Since(started).Milliseconds()
	}
	say(out)
}

// Check turns a condition that does not hold into an error.
func Check(condition bool, format string, arguments ...any) error {
	if condition {
		return nil
	}
	return fmt.Errorf(format, arguments...)
}

// WaitFor tries until the condition holds, for 40 seconds at most.
func WaitFor(what string, condition func() (bool, error)) error {
	deadline := time.Now().Add(40 * time.Second)
	for {
		if done, err := condition(); err != nil || done {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("waited in vain for " + what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Values is the set of all that the produce steps send.
func Values() map[string]bool {
	all := map[string]bool{}
	for _, codec := range Codecs {
		for i := 0; i < Each; i++ {
			all[fmt.Sprintf("%s %d", codec, i)] = true
		}
	}
	return all
}

// CheckValues compares what was found with what was produced.
func CheckValues(found map[string]bool) error {
	for value := range Values() {
		if !found[value] {
			return fmt.Errorf("%d of %d values, %q is missing", len(found), len(Values()), value)
		}
	}
	return nil
}
