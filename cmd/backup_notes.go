package cmd

import (
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// outsideText says what was not taken because it lies beside the prefixes.
func outsideText(o *etcdwalk.Outside) string {
	if o == nil || o.Keys == 0 {
		return ""
	}
	left, parts := o.Keys, []string{}
	for i, under := range o.Under {
		if i == mostSegments {
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", under.Segment, under.Keys))
		left -= under.Keys
	}
	if left > 0 {
		parts = append(parts, fmt.Sprintf("others %d", left))
	}
	return fmt.Sprintf("Not backed up, since outside these prefixes: %s (%s); --prefix / includes all keys.", console.Count(o.Keys, "key"), strings.Join(parts, ", "))
}

// mostSegments is how many first segments a summary names.
const mostSegments = 6

// tellOutside says on a terminal what was not taken.
func (o *backupOptions) tellOutside(outside *etcdwalk.Outside) {
	if text := outsideText(outside); text != "" {
		o.s.Talk("%s", text)
	}
}

// tellNamed says on a terminal which names were found in several namespaces, since
// whoever meant one of them has more than was wanted.
func (o *backupOptions) tellNamed(named []kube.InNamespaces, taken string) {
	for _, word := range named {
		if word.Namespaces > 1 {
			o.s.Talk("%s is in %d namespaces; all of them %s taken.", word.Word, word.Namespaces, taken)
		}
	}
}
