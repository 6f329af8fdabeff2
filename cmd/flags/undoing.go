package flags

import (
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/dir"
)

// An Undoing is the flags that say where what a change takes away is kept, and for whom.
type Undoing struct {
	s *Settings

	dir        string
	never      bool
	recipients Sealing // of which only the public keys are asked for
}

// AddFlags adds the flags.
func (f *Undoing) AddFlags(set *pflag.FlagSet, s *Settings) {
	f.AddDir(set, s)
	group(set, titleUndo, "", func(own *pflag.FlagSet) {
		own.BoolVar(&f.never, "no-undo", false, "keep nothing to take this back with")
		own.StringSliceVarP(&f.recipients.recipients, "recipient", "r", nil, "age recipient `age1...` of what is kept; repeatable (default those of the identities)")
		own.StringSliceVarP(&f.recipients.files, "recipients-file", "R", nil, "`FILE` with age recipients of what is kept, one a line; repeatable")
	})
}

// AddDir adds the flag that says where changes are kept.
func (f *Undoing) AddDir(set *pflag.FlagSet, s *Settings) {
	f.s = s
	group(set, titleUndo, "", func(own *pflag.FlagSet) {
		own.StringVar(&f.dir, "undo-dir", "", "`FOLDER` of what the last 10 changes took away, encrypted (default "+stateDir+"/undo, for other users than root $XDG_STATE_HOME/kubeferry/undo)")
	})
}

// Store is where changes are kept.
func (f *Undoing) Store() (remote.Store, error) {
	folder, err := f.Folder()
	return dir.New(folder, dir.Options{}), err
}

// Folder is that one.
func (f *Undoing) Folder() (string, error) {
	if f.dir != "" {
		return f.dir, nil
	}
	state, err := f.s.stateFolder()
	if err != nil {
		return "", console.Usagef("there is no folder of this user for what is taken away: name one with --undo-dir")
	}
	return filepath.Join(state, "undo"), nil
}

// Keeper keeps what a change takes away; nil if nothing is to be kept. Without recipients it
// is for those who open the archive.
func (f *Undoing) Keeper(tool string, identities []crypt.Identity) (*undo.Keeper, error) {
	if f.never {
		return nil, nil
	}
	recipients, err := f.recipients.public()
	if len(f.recipients.recipients)+len(f.recipients.files) == 0 {
		recipients, err = crypt.RecipientsOf(identities...)
	}
	switch {
	case err != nil:
		return nil, err
	case len(recipients) == 0:
		return nil, console.Usagef("what the restore takes away is kept encrypted, so that it can be taken back: say for whom with -r age1…, or --no-undo")
	}
	store, err := f.Store()
	if err != nil {
		return nil, err
	}
	host, err := f.s.Hostname()
	return &undo.Keeper{Store: store, Recipients: recipients, Tool: tool, Host: host, Now: f.s.Now}, err
}
