package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

type getOptions struct {
	s         *flags.Settings
	reading   flags.Reading
	selecting flags.Selecting
	form      form
	sortBy    string
	labels    bool
	noHeads   bool
	clean     bool
	reveal    bool

	named bool // one object is called by its name
	hide  *object.Redactor

	printer object.Printer
}

func newGet(s *flags.Settings) *cobra.Command {
	o := &getOptions{s: s, hide: object.NewRedactor()}
	c := &cobra.Command{
		SuggestFor: []string{"show", "cat"},
		Use:        "get (TYPE | TYPE/NAME)... [--from ARCHIVE]",
		Short:      "Show objects of an archive or of the live cluster",
		Long: `Shows objects as kubectl does, without an API server: those of the archive that
--from names, or of the etcd that the connection flags name. Ages count to the
moment of the source. The 17 commonest types and custom resources have columns
of their own, all others NAME and AGE.

One Secret called by its name is shown with its values; several show HMACs under
a key of this run instead, unless --reveal-secrets is given. An object is shown
in the version that it is stored in, without resourceVersion. Fields that this
version of kubeferry does not know are named and not shown.`,
		Annotations: ends(exitIncomplete, exitNotFound, exitKey, exitIntegrity, exitPolicy, exitCluster, exitStore, exitDenied),
		Example: `  kubeferry get cm -n shop --from prod.zip.age -i kubeferry.identity
  kubeferry get deploy/web -n shop -o yaml --from prod.zip.age \
    -i kubeferry.identity

  # give back one object through the API server
  kubeferry get cm/settings -n shop --from prod.zip.age \
    -i kubeferry.identity -o yaml --clean | kubectl apply -f -`,
		ValidArgsFunction: o.selecting.Complete,
		RunE: func(cmd *cobra.Command, words []string) error {
			query, err := o.validate(words)
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), query)
		},
	}
	set := c.Flags()
	set.VarP(&o.form, "output", "o", "`FORM` of the output: "+formWords+" (default a table)")
	_ = c.RegisterFlagCompletionFunc("output", completeForm) // the flag was defined above
	set.StringVar(&o.sortBy, "sort-by", "", "order objects of a kind by what `PATH` finds, such as .metadata.creationTimestamp")
	set.BoolVar(&o.labels, "show-labels", false, "add a column with the labels")
	set.BoolVar(&o.noHeads, "no-headers", false, "leave out the headers of tables")
	set.BoolVar(&o.clean, "clean", false, "leave out what must not be applied again: status, uid, owners, addresses")
	set.BoolVar(&o.reveal, "reveal-secrets", false, "show the values of several Secrets at once")
	o.selecting.AddFlags(set, s)
	o.reading.AddFlags(c, s)
	return c
}

func (o *getOptions) validate(words []string) (kube.Query, error) {
	if len(words) == 0 && o.selecting.Empty() {
		return kube.Query{}, console.Usagef("missing argument TYPE or TYPE/NAME; -A shows all objects")
	}
	if o.clean && o.form.shape != asYAML && o.form.shape != asJSON {
		return kube.Query{}, console.Usagef("--clean needs -o yaml or -o json")
	}
	if o.s.JSON && (o.form.shape == asTemplate || o.form.shape == asColumns) {
		return kube.Query{}, console.Usagef("--json shows whole objects, and -o %s parts of them; leave one of them out", o.form.typed)
	}
	query, err := o.selecting.Query(words)
	o.named = query.CallsOne()
	return query, err
}

func (o *getOptions) run(ctx context.Context, query kube.Query) error {
	leaveRoom()
	shown, err := o.newShow()
	if err != nil {
		return err
	}
	source, err := o.reading.Open(ctx, query.Layout())
	if err != nil {
		return err
	}
	defer source.Close()
	old := older{}
	look := ferry.Look{Source: source, Query: query, Names: o.form.shape == asName && !o.s.JSON && o.sortBy == ""}
	if d, ok := shown.(*documents); ok && !o.named {
		look.Prepare = d.prepare
	}
	n, err := look.Run(ctx, func(seen ferry.Seen) error {
		old.add(seen)
		return shown.add(seen)
	})
	if err != nil {
		return err
	}
	o.s.Result = objectsResult{n, source.BytesRead()}
	defer old.tell(o)
	return shown.end()
}

// A show takes objects and prints them in a form.
type show interface {
	add(seen ferry.Seen) error
	end() error
}

func (o *getOptions) newShow() (show, error) {
	var shown show = &tables{o: o}
	switch o.form.shape {
	case asYAML, asJSON:
		shown = &documents{o: o}
	case asTemplate, asColumns:
		shown = &paths{o: o}
	}
	if o.s.JSON {
		shown = &lines{o: o}
	}
	if o.sortBy == "" {
		return shown, nil
	}
	by, err := object.ParsePath(o.sortBy)
	if err != nil {
		return nil, console.Usagef("--sort-by: %w", err)
	}
	return &sorted{next: shown, by: by, hide: o.hide, typed: o.sortBy}, nil
}
