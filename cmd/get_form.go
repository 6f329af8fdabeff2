package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A shape is the form in which get shows objects.
type shape int

const (
	asTable shape = iota
	asWide
	asYAML
	asJSON
	asName
	asTemplate // jsonpath=…
	asColumns  // custom-columns=…
)

// A form is the flag -o: a shape, and what it takes behind an equals sign.
type form struct {
	shape    shape
	template object.Path
	columns  []column

	typed string
}

// A column is one that a user has made up.
type column struct {
	head string
	path object.Path
}

// bareForms are the words that have nothing behind them.
var bareForms = []struct {
	word  string
	shape shape
}{{"wide", asWide}, {"yaml", asYAML}, {"json", asJSON}, {"name", asName}}

// String implements pflag.Value.
func (f *form) String() string { return f.typed }

// Type implements pflag.Value.
func (f *form) Type() string { return "FORM" }

// Set implements pflag.Value.
func (f *form) Set(typed string) (err error) {
	f.typed = typed
	word, rest, equals := strings.Cut(typed, "=")
	switch {
	case equals && word == "jsonpath":
		f.shape = asTemplate
		f.template, err = object.ParseTemplate(rest)
		return err
	case equals && word == "custom-columns":
		f.shape = asColumns
		return f.setColumns(rest)
	}
	for _, known := range bareForms {
		if known.word == typed {
			f.shape = known.shape
			return nil
		}
	}
	return fmt.Errorf("it takes %s", formWords)
}

const formWords = "wide, yaml, json, name, jsonpath=TEMPLATE or custom-columns=HEAD:PATH,…"

// setColumns reads HEAD:PATH,HEAD:PATH.
func (f *form) setColumns(spec string) error {
	f.columns = nil
	for part := range strings.SplitSeq(spec, ",") {
		head, path, ok := strings.Cut(part, ":")
		if !ok || head == "" {
			return fmt.Errorf("custom column %q: it takes HEAD:PATH, such as NAME:.metadata.name", part)
		}
		parsed, err := object.ParsePath(path)
		if err != nil {
			return fmt.Errorf("custom column %s: %w", head, err)
		}
		f.columns = append(f.columns, column{head, parsed})
	}
	return nil
}

// completeForm completes -o.
func completeForm(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	words := []cobra.Completion{"jsonpath=", "custom-columns="}
	for _, known := range bareForms {
		words = append(words, known.word)
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
