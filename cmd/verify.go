package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

type verifyOptions struct {
	s          *flags.Settings
	source     flags.Source
	encryption flags.Encryption
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

Values that the API server encrypted at rest stay closed. --encryption-config
proves that each of them opens; one that does not ends with 12.

It does not check that a cluster would accept the objects.`,
		Annotations:       ends(exitIncomplete, exitNotFound, exitKey, exitIntegrity, exitPolicy, exitStore, exitDenied),
		Example:           `  kubeferry verify prod.zip.age -i kubeferry.identity`,
		ValidArgsFunction: o.source.CompleteArchive,
		Args:              exactly(1, "ARCHIVE (file or s3://bucket/key)"),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	o.encryption.AddFlags(c.Flags(), s, "to prove that it opens every value encrypted at rest")
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
	// Unopened counts the values encrypted at rest that --encryption-config does not
	// open; absent without it.
	Unopened map[string]int64 `json:"unopened,omitzero"`
}

func (o *verifyOptions) run(ctx context.Context, word string) error {
	opener, err := o.encryption.Opener()
	if err != nil {
		return err
	}
	a, err := o.source.Open(ctx, word, false)
	if err != nil {
		return err
	}
	defer a.Close()
	tell, stop := progress(o.s)
	defer stop()
	v, err := a.Verify(ctx, opener, tell)
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
	for _, example := range v.Examples {
		o.s.Warn("%s", example)
	}
	switch {
	case len(v.Unopened) > 0:
		return fmt.Errorf("%s: the EncryptionConfiguration does not open what is sealed at rest: %s%.0w", a.Path, unopened(v), object.ErrSealed)
	case v.Unstorable > 0:
		return fmt.Errorf("%s; a restore will refuse them%.0w", unstorable(v), ferry.ErrIncomplete)
	}
	opened := ""
	if opener != nil {
		opened = fmt.Sprintf(", %s sealed at rest opened", console.Count(sealedAtRest(v), "value"))
	}
	o.s.Data("%s: ok, %s, %s at revision %d%s", a.Path, console.Count(v.Keys, "key"), console.Bytes(v.Bytes), a.Info().Revision, opened)
	return nil
}

// sealedAtRest is how many values are.
func sealedAtRest(v ferry.Verified) int64 {
	all := int64(0)
	for encoding, n := range v.Encodings {
		if object.Encoding(encoding).Encrypted() {
			all += n
		}
	}
	return all
}

// unopened says which values stay closed.
func unopened(v ferry.Verified) string {
	counts, hint := map[string]int64{}, ""
	for encoding, n := range v.Unopened {
		seal := object.Encoding(encoding).Seal()
		counts[seal] += n
		if isKMS(seal) {
			hint = "; the keys of a KMS are in no file"
		}
	}
	return bySeal(counts) + hint
}
