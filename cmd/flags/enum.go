package flags

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A Choice is one word that an enum takes.
type Choice[T comparable] struct {
	Word  string
	Value T
	Help  string // what it means, for completion
	// Alias are other programs' words for the same.
	Alias []string
	// Refused says why the word is known, and yet not taken.
	Refused string
}

// An enum is a flag that takes one of a few words: it parses, documents and
// completes itself.
type enum[T comparable] struct {
	value   *T
	choices []Choice[T]
}

// Enum adds a flag that takes one of the words. The variable keeps the value that it
// has as the default, and the usage ends with the words.
func Enum[T comparable](set *pflag.FlagSet, value *T, name, usage string, choices ...Choice[T]) {
	e := enum[T]{value, choices}
	if words := e.words(); usage != "" && len(words) > 0 {
		usage += ": " + list(words)
	}
	set.Var(e, name, usage)
}

// list joins words as a sentence does.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// words are those that can be said.
func (e enum[T]) words() []string {
	var words []string
	for _, c := range e.choices {
		if c.Refused == "" {
			words = append(words, c.Word)
		}
	}
	return words
}

// String implements pflag.Value; the zero value is asked for it too.
func (e enum[T]) String() string {
	for _, c := range e.choices {
		if c.Value == *e.value && c.Refused == "" {
			return c.Word
		}
	}
	return ""
}

// Set implements pflag.Value.
func (e enum[T]) Set(word string) error {
	for _, c := range e.choices {
		if word != c.Word && !slices.Contains(c.Alias, word) {
			continue
		}
		if c.Refused != "" {
			return errors.New(c.Refused)
		}
		*e.value = c.Value
		return nil
	}
	return fmt.Errorf("it takes %s%s", list(e.words()), DidYouMean(word, e.words()))
}

// Type implements pflag.Value: the word for the value in help texts.
func (e enum[T]) Type() string { return strings.Join(e.words(), "|") }

// complete offers the words, each with what it means.
func (e enum[T]) complete() []cobra.Completion {
	var offered []cobra.Completion
	for _, c := range e.choices {
		if c.Refused == "" {
			offered = append(offered, cobra.CompletionWithDesc(c.Word, c.Help))
		}
	}
	return offered
}

// Complete teaches a command to complete those of its flags that know their words.
func Complete(c *cobra.Command) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		known, ok := f.Value.(interface{ complete() []cobra.Completion })
		if !ok {
			return
		}
		// It fails only for a flag that is not there, or has its completion already.
		_ = c.RegisterFlagCompletionFunc(f.Name, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return known.complete(), cobra.ShellCompDirectiveNoFileComp
		})
	})
}

// DryRun adds the flag --dry-run. kubectl's =client is accepted and =none; =server
// has no meaning here.
func DryRun(set *pflag.FlagSet, on *bool, usage string) {
	const refusal = "say --dry-run; nothing is written then"
	e := enum[bool]{on, []Choice[bool]{
		{Word: "client", Value: true, Alias: []string{"true"}, Help: "write nothing"},
		{Word: "none", Value: false, Alias: []string{"false"}, Help: "write"},
		{Word: "server", Refused: refusal},
	}}
	set.Var(e, "dry-run", usage)
	set.Lookup("dry-run").NoOptDefVal = "client"
}
