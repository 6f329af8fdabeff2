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
	kind    string // for help texts
}

// widest is how many columns the words may take in the place of the value.
const widest = 14

// Enum adds a flag that takes one of the words. The variable keeps the value that it
// has as the default. Help texts show the words in the place of the value, or after the
// usage where that would take too many columns.
func Enum[T comparable](set *pflag.FlagSet, value *T, name, usage string, choices ...Choice[T]) {
	EnumP(set, value, name, "", usage, choices...)
}

// EnumP is Enum with a flag of one letter too.
func EnumP[T comparable](set *pflag.FlagSet, value *T, name, letter, usage string, choices ...Choice[T]) {
	e := enum[T]{value: value, choices: choices, kind: strings.Join(wordsOf(choices), "|")}
	if len(e.kind) > widest {
		e.kind = "WORD"
		usage += ": " + list(wordsOf(choices))
	}
	set.VarP(e, name, letter, usage)
}

// list joins words as a sentence does.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// wordsOf are those that can be said.
func wordsOf[T comparable](choices []Choice[T]) []string {
	var words []string
	for _, c := range choices {
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
	return fmt.Errorf("it takes %s%s", list(wordsOf(e.choices)), DidYouMean(word, wordsOf(e.choices)))
}

// Type implements pflag.Value: the word for the value in help texts.
func (e enum[T]) Type() string { return e.kind }

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

// DryRun adds the flag --dry-run. kubectl's =client is accepted and =none; =server
// has no meaning here.
func DryRun(set *pflag.FlagSet, on *bool, usage string) {
	const refusal = "say --dry-run; nothing is written then"
	set.Var(dryRun{enum[bool]{value: on, choices: []Choice[bool]{
		{Word: "client", Value: true, Alias: []string{"true"}, Help: "write nothing"},
		{Word: "none", Value: false, Alias: []string{"false"}, Help: "write"},
		{Word: "server", Refused: refusal},
	}}}, "dry-run", usage)
	f := set.Lookup("dry-run")
	f.DefValue, f.NoOptDefVal = "false", "true" // in help it is a flag without a word
}

type dryRun struct{ enum[bool] }

// Type implements pflag.Value.
func (dryRun) Type() string { return "bool" }
