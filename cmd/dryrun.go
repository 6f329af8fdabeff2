package cmd

import "errors"

// dryRun is the flag --dry-run. kubectl's =client is accepted and =none; =server
// has no meaning here.
type dryRun struct{ on *bool }

func newDryRun(on *bool) dryRun { return dryRun{on} }

// String implements pflag.Value.
func (d dryRun) String() string {
	if d.on != nil && *d.on {
		return "client"
	}
	return "none"
}

// Set implements pflag.Value.
func (d dryRun) Set(word string) error {
	switch word {
	case "client", "true":
		*d.on = true
	case "none", "false":
		*d.on = false
	default:
		return errors.New("say --dry-run; nothing is written then")
	}
	return nil
}

// Type implements pflag.Value.
func (dryRun) Type() string { return "mode" }
