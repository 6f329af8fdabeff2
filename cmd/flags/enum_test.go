package flags

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

func rules() (*Rules, *pflag.FlagSet) {
	set, r := pflag.NewFlagSet("test", pflag.ContinueOnError), &Rules{}
	set.SetOutput(io.Discard)
	r.AddFlags(set, &Settings{Printer: &console.Printer{}})
	return r, set
}

func TestAnEnumTakesItsWords(t *testing.T) {
	for word, want := range map[string]replay.Policy{
		"fail": replay.Fail, "skip": replay.Skip, "overwrite": replay.Overwrite, "newer": replay.Newer,
		"none": replay.Skip, "update": replay.Overwrite,
	} {
		r, set := rules()
		r.Policy = -1
		if err := set.Parse([]string{"--on-conflict", word}); err != nil || r.Policy != want {
			t.Errorf("%s: got %v, want %v: %v", word, r.Policy, want, err)
		}
	}
}

func TestAnEnumRefusesOtherWords(t *testing.T) {
	for _, c := range []struct{ flag, word, text string }{
		{"on-conflict", "force", "it takes fail, skip, overwrite or newer"},
		{"on-conflict", "", "it takes fail, skip, overwrite or newer"},
		{"on-conflict", "Fail", "it takes fail, skip, overwrite or newer (did you mean fail?)"},
		{"scenario", "other", "it takes same or new"},
		{"scenario", "migrate", "it is not supported yet: its rules for another cluster's nodes, addresses and tokens do not exist"},
		{"leases", "keep", "it takes skip or regrant"},
	} {
		r, set := rules()
		r.Policy, r.Scenario, r.Regrant = replay.Newer, kube.ScenarioNew, true
		before := *r
		if err := set.Lookup(c.flag).Value.Set(c.word); err == nil || err.Error() != c.text {
			t.Errorf("--%s %s: got %v, want %s", c.flag, c.word, err, c.text)
		}
		if r.Policy != before.Policy || r.Scenario != before.Scenario || !r.Regrant {
			t.Errorf("--%s %s: a word that was refused changed %+v", c.flag, c.word, r)
		}
	}
}

func TestAnEnumDocumentsAndCompletesItself(t *testing.T) {
	c := &cobra.Command{Use: "test"}
	(&Rules{}).AddFlags(c.Flags(), &Settings{Printer: &console.Printer{}})
	Complete(c)
	f := c.Flags().Lookup("scenario")
	if f.DefValue != "same" || f.Value.Type() != "same|new" || f.Usage == "" {
		t.Errorf("it says: default %s, %s, %q", f.DefValue, f.Value.Type(), f.Usage)
	}
	words, ok := c.GetFlagCompletionFunc("scenario")
	if !ok {
		t.Fatal("it does not complete itself")
	}
	got, directive := words(c, nil, "")
	want := []cobra.Completion{
		cobra.CompletionWithDesc("same", "undo an accident in the same cluster"),
		cobra.CompletionWithDesc("new", "fill a new etcd, its API server stopped"),
	}
	if !slices.Equal(got, want) || directive != cobra.ShellCompDirectiveNoFileComp {
		t.Errorf("it completes to %q", got)
	}
}

func TestDurationsTakeDaysAndWeeks(t *testing.T) {
	for word, want := range map[string]time.Duration{"0": 0, "0s": 0, "26h": 26 * time.Hour, "90m": 90 * time.Minute, "2d": 48 * time.Hour, "1w2d": 216 * time.Hour} {
		set := pflag.NewFlagSet("test", pflag.ContinueOnError)
		var got time.Duration
		Duration(set, &got, "max-age", "maximum age")
		if err := set.Parse([]string{"--max-age", word}); err != nil || got != want {
			t.Errorf("%s: got %s, want %s: %v", word, got, want, err)
		}
		if err := checkTyped(set); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
}

// What a command line repeats of another says the same, and only how stores and the
// configuration are reached.
func TestTheNextCommandKeepsItsFlags(t *testing.T) {
	s := &Settings{Printer: &console.Printer{Shell: &console.Shell{}}}
	c := &cobra.Command{Use: "test", RunE: func(c *cobra.Command, _ []string) error { return s.Apply(c) }}
	s.AddFlags(c.PersistentFlags())
	(&Destination{}).AddFlags(c.Flags(), s)
	c.SetArgs([]string{"--s3-allow-http=false", "--s3-endpoint", "https://a b", "--to", "x", "--s3-tag", "a=b", "--retain-for", "3d", "-q"})
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Again(), " --s3-allow-http=false --s3-endpoint='https://a b'"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
