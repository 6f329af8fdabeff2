package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
)

type verifyOptions struct {
	s      *flags.Settings
	source flags.Source
}

func newVerify(s *flags.Settings) *cobra.Command {
	o := &verifyOptions{s: s}
	c := &cobra.Command{
		Use:   "verify ARCHIVE",
		Short: "Verify every byte of an archive",
		Long: `Decrypts and reads the whole archive, in memory: every byte is authenticated,
every segment matches its digest in the manifest, keys are in ascending order,
every value is in a form that Kubernetes stores, and the receipt agrees with the
archive. (Receipts are not signed: anyone who can write to the store can forge
one.)

It does not check that a cluster would accept the objects.`,
		Annotations:       ends(exitIncomplete, exitNotFound, exitKey, exitIntegrity, exitPolicy, exitStore, exitDenied),
		Example:           `  kubeferry verify prod.zip.age -i kubeferry.identity`,
		ValidArgsFunction: o.source.CompleteArchive,
		Args:              exactly(1, "ARCHIVE (file or s3://bucket/key)"),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	o.source.AddFlags(c.Flags(), s)
	return c
}

type verifyResult struct {
	Archive        string           `json:"archive"`
	Keys           int64            `json:"keys"`
	Bytes          int64            `json:"bytes"`
	Encodings      map[string]int64 `json:"encodings"`
	Unstorable     int64            `json:"unstorable"`
	Examples       []string         `json:"examples,omitempty"`
	ReceiptChecked bool             `json:"receipt_checked"`
}

func (o *verifyOptions) run(ctx context.Context, word string) error {
	a, err := o.source.Open(ctx, word, false)
	if err != nil {
		return err
	}
	defer a.Close()
	tell, stop := progress(o.s)
	defer stop()
	v, err := a.Verify(ctx, tell)
	stop()
	if err != nil {
		return err
	}
	o.s.Result = verifyResult{
		Archive: a.Path, Keys: v.Keys, Bytes: v.Bytes, Encodings: v.Encodings,
		Unstorable: v.Unstorable, Examples: v.Examples, ReceiptChecked: v.ReceiptChecked,
	}
	if !v.ReceiptChecked {
		o.s.Warn("there is no receipt beside %s: whether it is the archive that was published was not checked", a.Path)
	}
	if v.Unstorable == 0 {
		o.s.Data("%s: ok, %s, %s at revision %d", a.Path, console.Count(v.Keys, "key"), console.Bytes(v.Bytes), a.Info().Revision)
		return nil
	}
	for _, example := range v.Examples {
		o.s.Warn("%s", example)
	}
	return fmt.Errorf("%s; a restore will refuse them%.0w", unstorable(v), ferry.ErrIncomplete)
}
