package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/ferry"
)

type verifyOptions struct {
	opening opening
}

func newVerify(p *printer, s *settings) *cobra.Command {
	o := &verifyOptions{}
	c := &cobra.Command{
		Use:   "verify ARCHIVE",
		Short: "Read every byte of an archive and check it",
		Long: `Decrypts and reads the whole archive in memory: every byte is authenticated,
every segment has the digest that the manifest names, keys ascend, each value is
in a form that Kubernetes stores, and all that the receipt says is what the
archive says: who can write to a store can forge receipts, which are not signed.

It does not check that a cluster would accept the objects.` +
			ends(exitIncomplete, exitNotFound, exitKey, exitIntegrity, exitPolicy, exitStore, exitDenied),
		Example: `  kubeferry verify prod.zip.age -i kubeferry.identity`,
		Args:    exactly(1, "ARCHIVE, the file to check"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), p, s, args[0]) },
	}
	o.opening.addFlags(c.Flags())
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

func (o *verifyOptions) run(ctx context.Context, p *printer, s *settings, path string) error {
	a, err := o.opening.open(ctx, p, s, path)
	if err != nil {
		return err
	}
	defer a.Close()
	path = o.opening.resolved
	tell, stop := p.progress()
	defer stop()
	v, err := a.Verify(ctx, tell)
	stop()
	if err != nil {
		return err
	}
	p.result = verifyResult{
		Archive: path, Keys: v.Keys, Bytes: v.Bytes, Encodings: v.Encodings,
		Unstorable: v.Unstorable, Examples: v.Examples, ReceiptChecked: v.ReceiptChecked,
	}
	if !v.ReceiptChecked {
		p.warn("there is no receipt beside %s: whether it is the archive that was published was not checked", path)
	}
	if v.Unstorable == 0 {
		p.data("%s: ok, %d keys, %s at revision %d", path, v.Keys, bytesText(v.Bytes), a.Info().Revision)
		return nil
	}
	for _, example := range v.Examples {
		p.warn("%s", example)
	}
	return fmt.Errorf("%d of %d values are in no form that Kubernetes stores; a restore will refuse them: %w", v.Unstorable, v.Keys, ferry.ErrIncomplete)
}

// open resolves the path of an archive and opens it with the keys of the flags.
func (f *opening) open(ctx context.Context, p *printer, s *settings, path string) (*ferry.Archive, error) {
	from, keys, err := f.resolve(ctx, p, s, path)
	if err != nil {
		return nil, err
	}
	a, err := ferry.Open(ctx, from.store, from.name, keys)
	if err != nil {
		return nil, err
	}
	if !a.Encrypted {
		p.warn("%s is in the clear: nothing proves that it was not changed on purpose", f.resolved)
	}
	if a.Corrupt() {
		p.warn("%s was made of a cluster that called itself corrupt, or whose members disagreed", f.resolved)
	}
	return a, nil
}

// resolve finds the archive that is meant, and what opens it.
func (f *opening) resolve(ctx context.Context, p *printer, s *settings, word string) (place, ferry.Keys, error) {
	if err := f.asked(s, word); err != nil {
		return place{}, ferry.Keys{}, err
	}
	from, err := f.source(ctx, p, word)
	if err != nil {
		return place{}, ferry.Keys{}, err
	}
	f.resolved = from.path(from.name)
	keys, err := f.unlocking.open(ctx, s)
	return from, keys, err
}
