package cmd

import (
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// tellOutside says on a terminal what was not taken because it lies beside the prefixes.
func (o *backupOptions) tellOutside(outside *etcdwalk.Outside) {
	if outside == nil || outside.Keys == 0 {
		return
	}
	left, parts := outside.Keys, []string{}
	for i, under := range outside.Under {
		if i == mostSegments {
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", under.Segment, under.Keys))
		left -= under.Keys
	}
	if left > 0 {
		parts = append(parts, fmt.Sprintf("others %d", left))
	}
	o.s.Talk("Not backed up, since outside these prefixes: %s (%s); --prefix / includes all keys.", console.Count(outside.Keys, "key"), strings.Join(parts, ", "))
}

// mostSegments is how many first segments a summary names.
const mostSegments = 6

// tellSealed says on a terminal what a restore will need that is not in the archive.
func (o *backupOptions) tellSealed(sealed []archive.SealedTotal) {
	if text := sealedText(sealed); text != "" {
		o.s.Talk("Sealed at rest by the API server: %s.", text)
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

// warnOfAll warns of a word that does not take what it says.
func (o *backupOptions) warnOfAll(words kube.Filter) {
	for _, list := range words.Include {
		for word := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(word), "all") {
				o.s.Warn("all means what it does in kubectl: no ConfigMaps, Secrets, ServiceAccounts, volume claims, roles and more are backed up; leave the word out to back up everything")
				return
			}
		}
	}
}

// warnUnstorable warns of values that a restore will refuse.
func warnUnstorable(s *flags.Settings, v ferry.Verified) {
	if v.Unstorable > 0 {
		s.Warn("%s; a restore will refuse them without --raw; the first: %s", unstorable(v), v.Examples[0])
	}
}

func unstorable(v ferry.Verified) string {
	are := "are not valid Kubernetes objects"
	if v.Unstorable == 1 {
		are = "is not a valid Kubernetes object"
	}
	return fmt.Sprintf("%d of %s %s", v.Unstorable, console.Count(v.Keys, "value"), are)
}
