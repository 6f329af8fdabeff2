package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
)

type receiptOptions struct {
	opening opening
	shared  bool
}

func newReceipt(p *printer, s *settings) *cobra.Command {
	o := &receiptOptions{}
	c := &cobra.Command{
		Use:   "receipt ARCHIVE",
		Short: "Make the receipt of an archive that has none",
		Long: `Verifies an archive that came through a pipe, was copied alone, or has lost its
receipt, and writes the receipt beside it: from then on list, check, prune and
latest see the archive.

What the receipt says is what the verified archive says, and until when the store
keeps it locked. A receipt that is there already is never replaced.` +
			ends(exitNotFound, exitKey, exitIntegrity, exitPolicy, exitStore, exitDenied, exitConflict, exitGuard, exitNoSpace),
		Example: `  kubeferry backup -q --to - -r age1… > pulled.zip.age
  kubeferry receipt pulled.zip.age -i kubeferry.identity`,
		Args: exactly(1, "ARCHIVE, the file to make a receipt for"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), p, s, args[0]) },
	}
	c.Flags().BoolVar(&o.shared, "allow-shared-folder", false, "write into a folder that everybody can write to")
	o.opening.stock.addFlags(c.Flags())
	o.opening.unlocking.addFlags(c.Flags())
	return c
}

type receiptResult struct {
	Path    string          `json:"path"`
	Receipt catalog.Receipt `json:"receipt"`
}

func (o *receiptOptions) run(ctx context.Context, p *printer, s *settings, path string) error {
	o.opening.whole = true // verified, and its digest taken
	from, keys, err := o.opening.resolve(ctx, p, s, path)
	if err != nil {
		return err
	}
	if !catalog.IsArchive(from.name) {
		return usagef("%s: an archive that is listed is named *%s, or *%s in the clear", path, catalog.EncryptedSuffix, catalog.PlainSuffix)
	}
	if !isS3(path) {
		from.store = dir.New(from.folder, dir.Options{AllowShared: o.shared})
	}
	tell, stop := p.progress()
	defer stop()
	done, err := ferry.Receipting{Store: from.store, Name: from.name, Keys: keys, Progress: tell}.Run(ctx)
	stop()
	if err != nil {
		return err
	}
	if n := done.Verified.Unstorable; n > 0 {
		p.warn("%d values are in no form that Kubernetes stores, and a restore will refuse them without --raw, the first: %s", n, done.Verified.Examples[0])
	}
	if !done.Encrypted {
		p.warn("%s is in the clear: nothing proves that it was not changed on purpose", path)
	}
	if done.LockUnseen {
		p.warn("whether the store keeps %s locked these credentials may not see (s3:GetObjectRetention); the receipt does not say", path)
	}
	made := done.Receipt
	p.result = receiptResult{Path: from.path(catalog.ReceiptName(from.name)), Receipt: made}
	p.data("%s", from.path(catalog.ReceiptName(from.name)))
	return nil
}
