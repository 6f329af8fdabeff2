package flags

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// A Selecting is the flags that say which objects are wanted, spelt as kubectl
// and Velero spell them. Words without a flag say the same as --include.
type Selecting struct {
	s *Settings

	include, exclude, namespaces, without, prefixes []string
	labels, fields                                  string
	all                                             bool
	encryption                                      Encryption
}

// AddFlags adds the flags.
func (f *Selecting) AddFlags(flags *pflag.FlagSet, s *Settings) {
	f.s = s
	group(flags, titleWhat, "", func(own *pflag.FlagSet) {
		own.StringSliceVarP(&f.namespaces, "namespace", "n", nil, "only objects in the namespace `NAME`; repeatable")
		own.BoolVarP(&f.all, "all-namespaces", "A", false, "objects of all namespaces")
		own.StringVarP(&f.labels, "selector", "l", "", "only objects whose labels match `SELECTOR`, as in kubectl: app=web,tier!=db")
		own.StringSliceVar(&f.exclude, "exclude", nil, "leave out `TYPE` or TYPE/NAME; repeatable")
	})
	group(flags, titleWhat, topicSelection, func(own *pflag.FlagSet) {
		own.StringSliceVar(&f.include, "include", nil, "only `TYPE` or TYPE/NAME, as positional arguments; repeatable")
		own.StringSliceVar(&f.without, "exclude-namespaces", nil, "leave out the namespace `NAME` with all that is in it; repeatable")
		own.StringVar(&f.fields, "field-selector", "", "only objects whose metadata.name or metadata.namespace matches `SELECTOR`")
		f.addScope(own, s)
	})
	flags.SetNormalizeFunc(veleroNames)
}

// AddScope adds only the flags that say which part of the keyspace is Kubernetes', and what
// opens its values.
func (f *Selecting) AddScope(flags *pflag.FlagSet, s *Settings) {
	f.s = s
	group(flags, titleWhat, topicSelection, func(own *pflag.FlagSet) { f.addScope(own, s) })
}

func (f *Selecting) addScope(own *pflag.FlagSet, s *Settings) {
	f.encryption.AddFlags(own, s, "to read values encrypted at rest")
	own.StringSliceVar(&f.prefixes, "prefix", nil, "only keys under `PREFIX`; repeatable (default /registry/, /kubernetes.io/ and /openshift.io/)")
}

// Empty tells whether none of the flags is given.
func (f *Selecting) Empty() bool {
	return !f.all && len(f.include)+len(f.exclude)+len(f.namespaces)+len(f.without)+len(f.prefixes)+len(f.labels)+len(f.fields) == 0
}

// OneNamespace tells whether all that is selected in namespaces is in one.
func (f *Selecting) OneNamespace() bool {
	return len(f.namespaces) == 1 && !strings.Contains(f.namespaces[0], ",")
}

// Namespaced tells whether namespaces are named.
func (f *Selecting) Namespaced() bool { return len(f.namespaces) > 0 }

// All tells whether all namespaces were asked for.
func (f *Selecting) All() bool { return f.all }

// veleroNames takes Velero's names for the flags that mean the same.
func veleroNames(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	switch name {
	case "include-resources":
		name = "include"
	case "exclude-resources":
		name = "exclude"
	case "include-namespaces":
		name = "namespace"
	}
	return pflag.NormalizedName(name)
}

// Query is what the words and flags select.
func (f *Selecting) Query(words []string) (kube.Query, error) {
	if slices.Contains(words, "") {
		return kube.Query{}, console.Usagef("an argument is empty%s", UnsetVariable)
	}
	if f.all && len(f.namespaces) > 0 {
		return kube.Query{}, console.Usagef("-A and -n contradict each other; use one of them")
	}
	q, err := kube.Filter{
		Include: append(append([]string{}, words...), f.include...), Exclude: f.exclude,
		Namespaces: f.namespaces, ExcludeNamespaces: f.without, Prefixes: f.prefixes,
		Labels: f.labels, Fields: f.fields,
	}.Compile()
	if err != nil {
		return q, err
	}
	opener, err := f.encryption.Opener()
	return q.Opening(opener), err
}
