package flags

import (
	"errors"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/pflag"
)

// Duration adds a flag that takes a time in Go's form (26h, 90m), or with days and
// weeks (2d, 1w2d12h), as Prometheus has it.
func Duration(set *pflag.FlagSet, value *time.Duration, name, usage string) {
	set.Var((*duration)(value), name, usage)
	if *value == 0 {
		set.Lookup(name).DefValue = "" // help says nothing of a default of none
	}
}

type duration time.Duration

// String implements pflag.Value.
func (d *duration) String() string {
	return time.Duration(*d).String()
}

// Set implements pflag.Value.
func (d *duration) Set(word string) error {
	if plain, err := time.ParseDuration(word); err == nil {
		*d = duration(plain)
		return nil
	}
	long, err := model.ParseDuration(word)
	if err != nil {
		return errors.New("it takes a time such as 26h, 2d or 1w")
	}
	*d = duration(long)
	return nil
}

// Type implements pflag.Value.
func (d *duration) Type() string { return "duration" }
