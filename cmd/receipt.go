package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
)

type receiptOptions struct {
	s       *flags.Settings
	archive flags.Archive
	shared  bool
}

func newReceipt(s *flags.Settings) *cobra.Command {
	o := &receiptOptions{s: s}
	c := &cobra.Command{
		Use:   "receipt ARCHIVE",
		Short: "Recreate the missing receipt of an archive",
		Long: `Verifies an archive that has no receipt, because it came through a pipe, was
copied without it or lost it, and writes the receipt beside it. From then on
list, check, prune and latest see the archive.

The receipt is built from the verified archive and from the lock that the store
reports. An existing receipt is never replaced.`,
		Annotations: ends(exitNotFound, exitKey, exitIntegrity, exitPolicy, exitStore, exitDenied, exitConflict, exitGuard, exitNoSpace),
		Example: `  kubeferry backup -q --to - -r age1… > pulled.zip.age
  kubeferry receipt pulled.zip.age -i kubeferry.identity`,
		Args: exactly(1, "ARCHIVE (file or s3://bucket/key)"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	c.Flags().BoolVar(&o.shared, "allow-shared-folder", false, "allow a folder that everybody can write to")
	o.archive.AddFlags(c.Flags(), s)
	return c
}

type receiptResult struct {
	Path    string          `json:"path"`
	Receipt catalog.Receipt `json:"receipt"`
}

func (o *receiptOptions) run(ctx context.Context, path string) error {
	from, keys, err := o.archive.Resolve(ctx, path, dir.Options{AllowShared: o.shared})
	if err != nil {
		return err
	}
	if !catalog.IsArchive(from.Name) {
		return console.Usagef("%s: an archive that is listed is named *%s, or *%s unencrypted", path, catalog.EncryptedSuffix, catalog.PlainSuffix)
	}
	tell, stop := progress(o.s)
	defer stop()
	done, err := ferry.Receipting{Store: from.Store, Name: from.Name, Keys: keys, Progress: tell}.Run(ctx)
	stop()
	if err != nil {
		return err
	}
	warnUnstorable(o.s, done.Verified)
	if !done.Encrypted {
		o.s.Warn("%s is unencrypted: tampering cannot be detected", path)
	}
	if done.LockUnseen {
		o.s.Warn("whether the store keeps %s locked these credentials may not see (s3:GetObjectRetention); the receipt does not say", path)
	}
	made := done.Receipt
	o.s.Result = receiptResult{Path: from.Path(catalog.ReceiptName(from.Name)), Receipt: made}
	o.s.Data("%s", from.Path(catalog.ReceiptName(from.Name)))
	return nil
}
