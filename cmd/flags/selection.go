package flags

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// A Selecting is the flags that say which objects are wanted, spelt as kubectl
// and Velero spell them. Words without a flag say the same as --include.
type Selecting struct {
	include, exclude, namespaces, prefixes []string
	all                                    bool
}

// AddFlags adds the flags.
func (f *Selecting) AddFlags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.include, "include", nil, "only these: TYPE, TYPE/NAME (pods, deploy, cm/settings, widgets.example.com); repeatable")
	flags.StringSliceVar(&f.exclude, "exclude", nil, "not these: TYPE, TYPE/NAME; repeatable")
	flags.StringSliceVarP(&f.namespaces, "namespace", "n", nil, "only objects in these namespaces; repeatable")
	flags.BoolVarP(&f.all, "all-namespaces", "A", false, "objects of all namespaces (the default)")
	flags.StringSliceVar(&f.prefixes, "prefix", nil, "only keys under these prefixes (default /registry/, /kubernetes.io/ and /openshift.io/)")
	flags.SetNormalizeFunc(veleroNames)
}

// Empty tells whether none of the flags is given.
func (f *Selecting) Empty() bool {
	return !f.all && len(f.include)+len(f.exclude)+len(f.namespaces)+len(f.prefixes) == 0
}

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
		return kube.Query{}, console.Usagef("a word is empty%s", UnsetVariable)
	}
	if f.all && len(f.namespaces) > 0 {
		return kube.Query{}, console.Usagef("-A and -n contradict each other; leave one of them out")
	}
	return kube.Filter{
		Include:    append(append([]string{}, words...), f.include...),
		Exclude:    f.exclude,
		Namespaces: f.namespaces,
		Prefixes:   f.prefixes,
	}.Compile()
}

// CompleteKinds completes words that name objects: the kinds that are compiled
// into Kubernetes, as kubectl names them.
func CompleteKinds(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	for _, kind := range kube.Known() {
		names = append(names, kind.Name())
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
