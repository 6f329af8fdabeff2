package cmd

import (
	"strings"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/console"
)

// quoted is a selector as a shell takes it; nothing if there is none.
func quoted(selector string) []string {
	if selector == "" {
		return nil
	}
	return []string{console.Quote(selector)}
}

// selectionText is a selection as it was typed.
func selectionText(s archive.Selection) string {
	if s.Whole {
		return "whole"
	}
	var parts []string
	for _, part := range []struct {
		name  string
		words []string
	}{{"", s.Include}, {"--exclude ", s.Exclude}, {"-n ", s.Namespaces}, {"--exclude-namespaces ", s.ExcludeNamespaces}, {"--prefix ", s.Prefixes}, {"-l ", quoted(s.Labels)}, {"--field-selector ", quoted(s.Fields)}} {
		if len(part.words) > 0 {
			parts = append(parts, part.name+strings.Join(part.words, ","))
		}
	}
	return strings.Join(parts, " ")
}
