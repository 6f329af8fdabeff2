package flags

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
)

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

// Complete completes words that name objects: the kinds that are compiled into
// Kubernetes, as kubectl names them, by their short names too, and the last one of a
// list.
func (*Selecting) Complete(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	before := ""
	if i := strings.LastIndexByte(typed, ','); i >= 0 {
		before = typed[:i+1]
	}
	var names []cobra.Completion
	for _, kind := range kube.Known() {
		names = append(names, before+kind.Name())
		for _, short := range kind.ShortNames() {
			names = append(names, cobra.CompletionWithDesc(before+short, kind.Name()))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// CompleteProfiles completes --profile with what the configuration file has.
func (s *Settings) CompleteProfiles(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	path := s.config
	if set, ok := s.Getenv(Variable("config")); ok && path == "" {
		path = set
	}
	c, _, err := loadConfig(path, s.Shell)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, p := range c.Profiles {
		names = append(names, cobra.CompletionWithDesc(p.Name, strings.Join(p.Endpoints, ",")))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// CompleteArchive completes the word for an archive: with --store latest and the ids
// that are there, else the names of files.
func (f *Source) CompleteArchive(c *cobra.Command, words []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(words) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if f.store == "" {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return f.archives(c), cobra.ShellCompDirectiveNoFileComp
}

// completeFrom does so for --from, whatever words there are.
func (f *Source) completeFrom(c *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return f.CompleteArchive(c, nil, typed)
}

// archives are the words for what is in the store; a store that cannot be read has
// nothing to offer.
func (f *Source) archives(c *cobra.Command) []cobra.Completion {
	ctx, done := context.WithTimeout(c.Context(), completionTime)
	defer done()
	stock := Stock{bucket: f.bucket}
	store, err := stock.Open(ctx, f.store, dir.Options{})
	if err != nil {
		return nil
	}
	listing, err := catalog.List(ctx, store)
	if err != nil {
		return nil
	}
	names := []cobra.Completion{"latest"}
	for _, item := range listing.Items {
		if r := item.Receipt; r.Name != "" {
			about := fmt.Sprintf("%s, %s, %s", console.Moment(r.Created), r.Cluster, console.Bytes(r.Size))
			names = append(names, cobra.CompletionWithDesc(r.ShortID(), about))
		}
	}
	return names
}

// completionTime is how long a shell may wait for a store.
const completionTime = 3 * time.Second
