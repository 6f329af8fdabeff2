package flags

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/crypt"
)

// A passphrase is the flags that lead to one. It is never a flag's value:
// everybody can read the command line.
type passphrase struct {
	s *Settings

	prompt        bool
	file, command string
	fd            int
}

func (f *passphrase) addFlags(flags *pflag.FlagSet, s *Settings) {
	f.s = s
	group(flags, titleKeys, "", func(own *pflag.FlagSet) {
		own.BoolVarP(&f.prompt, "passphrase", "p", false, "ask for a passphrase on the terminal")
		own.StringVar(&f.file, "passphrase-file", "", "`FILE` with the passphrase, mode 0600")
	})
	group(flags, titleKeys, topicKeys, func(own *pflag.FlagSet) {
		own.StringVar(&f.command, "passphrase-command", "", "`COMMAND` that prints the passphrase, run without a shell")
		own.IntVar(&f.fd, "passphrase-fd", -1, "open file descriptor `N` to read the passphrase from")
	})
}

// passphraseFlags are the flags that lead to a passphrase, in the order in which
// they count when none of them was typed.
var passphraseFlags = []string{"passphrase-file", "passphrase-command", "passphrase-fd", "passphrase"}

// chosen is the flag that leads to the passphrase: one that was typed goes
// before those that are set otherwise. Empty: none of them.
func (f *passphrase) chosen() (string, error) {
	given := map[string]bool{
		"passphrase-file": f.file != "", "passphrase-command": f.command != "", "passphrase-fd": f.fd >= 0, "passphrase": f.prompt,
	}
	var typed, set []string
	for _, flag := range passphraseFlags {
		switch {
		case given[flag] && f.s.Typed(flag):
			typed = append(typed, flag)
		case given[flag]:
			set = append(set, flag)
		}
	}
	if len(typed) > 1 {
		return "", console.Usagef("--%s and --%s both lead to a passphrase; leave one of them out", typed[0], typed[1])
	}
	if all := append(typed, set...); len(all) > 0 {
		return all[0], nil
	}
	return "", nil
}

// get finds the passphrase; found is false if none was asked for. When it is
// to be chosen, a prompt asks twice.
func (f *passphrase) get(ctx context.Context, choose bool) (pass console.Secret, found bool, err error) {
	flag, err := f.chosen()
	if err != nil {
		return console.Secret{}, false, err
	}
	switch flag {
	case "passphrase-file":
		pass, err = console.ReadSecretFile("passphrase", f.file, f.s.Shell)
	case "passphrase-command":
		pass, err = console.SecretFromCommand(ctx, "passphrase", f.command, f.s.Shell)
	case "passphrase-fd":
		pass, err = console.SecretFromDescriptor("passphrase", f.fd)
	case "passphrase":
		pass, err = f.ask(ctx, choose)
	default:
		return surroundingPassphrase(f.s.Shell)
	}
	return pass, true, err
}

// surroundingPassphrase is the one that systemd hands over, or that a variable
// holds.
func surroundingPassphrase(sh *console.Shell) (pass console.Secret, found bool, err error) {
	if folder, ok := sh.Getenv("CREDENTIALS_DIRECTORY"); ok {
		if credential := filepath.Join(folder, "passphrase"); isFile(credential) {
			pass, err = console.ReadSecretFile("passphrase", credential, sh)
			return pass, true, err
		}
	}
	value, ok := sh.Getenv("KUBEFERRY_PASSPHRASE")
	if !ok {
		return console.Secret{}, false, nil
	}
	// Children and /proc readers need not see it any longer.
	return console.NewSecret(value), true, sh.Unset("KUBEFERRY_PASSPHRASE")
}

func (f *passphrase) ask(ctx context.Context, choose bool) (console.Secret, error) {
	pass, err := f.s.AskSecret(ctx, console.Question{Subject: "passphrase", Text: "Passphrase:", Instead: "--passphrase-file"})
	if err != nil || !choose {
		return pass, err
	}
	again, err := f.s.AskSecret(ctx, console.Question{Subject: "passphrase", Text: "Confirm passphrase:", Instead: "--passphrase-file"})
	if err == nil && again != pass {
		err = console.Usagef("the two passphrases differ")
	}
	return pass, err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// A Sealing is the flags that say for whom an archive is encrypted.
type Sealing struct {
	s *Settings

	recipients, files []string
	passphrase        passphrase
	none              bool
}

// AddFlags adds the flags.
func (f *Sealing) AddFlags(flags *pflag.FlagSet, s *Settings) {
	f.s = s
	group(flags, titleKeys, "", func(own *pflag.FlagSet) {
		own.StringSliceVarP(&f.recipients, "recipient", "r", nil, "age recipient `age1...` to encrypt for; repeatable")
		own.StringSliceVarP(&f.files, "recipients-file", "R", nil, "`FILE` with age recipients, one a line; repeatable")
	})
	f.passphrase.addFlags(flags, s)
	group(flags, titleKeys, "", func(own *pflag.FlagSet) {
		own.BoolVar(&f.none, "no-encrypt", false, "write the archive unencrypted; warns on each run")
	})
}

// Encrypts tells whether the archive is to be encrypted.
func (f *Sealing) Encrypts() bool { return !f.none }

// Recipients are those to encrypt for; none if the archive is to be in the clear.
// What was typed goes before what a profile, a variable or systemd sets.
func (f *Sealing) Recipients(ctx context.Context) ([]crypt.Recipient, error) {
	named := len(f.recipients)+len(f.files) > 0
	typedKey, typedPass := f.s.Typed("recipient", "recipients-file"), f.s.Typed(passphraseFlags...)
	switch {
	case f.none && (typedKey || typedPass || named && !f.s.Typed("no-encrypt")):
		return nil, console.Usagef("--no-encrypt contradicts recipients and passphrases; leave one of them out")
	case f.none:
		f.s.Warn("--no-encrypt: whoever can read the archive can read every Secret in it")
		return nil, nil
	case typedKey && typedPass:
		return nil, errMixed
	case typedKey:
		return f.public()
	}
	pass, found, err := f.passphrase.get(ctx, true)
	switch {
	case err != nil:
		return nil, err
	case found && named && !typedPass:
		return nil, errMixed
	case found:
		r, err := crypt.PassphraseRecipient(pass.Reveal(), crypt.Work)
		return []crypt.Recipient{r}, err
	case !named:
		return nil, console.Usagef(`no encryption key is given. Choose one of
  kubeferry keygen --out kubeferry.identity      generates a key pair; then backup -r age1…
  backup --passphrase (or --passphrase-file F)   encrypts with a passphrase
  backup --no-encrypt                            writes every Secret unencrypted`)
	}
	return f.public()
}

// errMixed refuses what age refuses too.
var errMixed = console.Usagef("a passphrase cannot be combined with recipients (age refuses to mix them); leave one of them out")

// public reads the recipients that were named.
func (f *Sealing) public() ([]crypt.Recipient, error) {
	var recipients []crypt.Recipient
	for _, word := range f.recipients {
		r, err := crypt.ParseRecipient(word, "--recipient")
		if err != nil {
			return nil, err
		}
		recipients = append(recipients, r)
	}
	for _, path := range f.files {
		file, err := os.Open(path)
		if err != nil {
			return nil, console.Configf("open recipients file %s: %w", path, console.Cause(err))
		}
		found, err := crypt.ParseRecipients(file, path)
		_ = file.Close() // only read
		if err != nil {
			return nil, err
		}
		recipients = append(recipients, found...)
	}
	return recipients, crypt.Compatible(recipients...)
}

// An Unlocking is the flags that say with what an archive is decrypted.
type Unlocking struct {
	s *Settings

	identities  []string
	passphrase  passphrase
	unencrypted bool
}

// AddFlags adds the flags.
func (f *Unlocking) AddFlags(flags *pflag.FlagSet, s *Settings) {
	f.s = s
	group(flags, titleKeys, "", func(own *pflag.FlagSet) {
		own.StringSliceVarP(&f.identities, "identity", "i", nil, "`FILE` with the age identity to decrypt with, mode 0600; repeatable")
	})
	f.passphrase.addFlags(flags, s)
	group(flags, titleKeys, topicKeys, func(own *pflag.FlagSet) {
		own.BoolVar(&f.unencrypted, "accept-unencrypted", false, "accept an unencrypted archive although a key is given")
	})
}

// Keys are what an archive is opened with.
func (f *Unlocking) Keys(ctx context.Context) (ferry.Keys, error) {
	ids, err := f.open(ctx)
	return ferry.Keys{Identities: ids, AcceptUnencrypted: f.unencrypted}, err
}

// open returns the identities to open an archive with; none if none was named.
func (f *Unlocking) open(ctx context.Context) ([]crypt.Identity, error) {
	var ids []crypt.Identity
	for _, path := range f.identities {
		file, err := console.OpenSecretFile("identity", path, f.s.Shell)
		if err != nil {
			return nil, err
		}
		found, err := crypt.ParseIdentities(file, path)
		_ = file.Close() // only read
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	pass, found, err := f.passphrase.get(ctx, false)
	if err != nil || !found {
		return ids, err
	}
	work := crypt.MaxWorkBatch
	if f.passphrase.prompt {
		work = crypt.MaxWorkInteractive
	}
	id, err := crypt.PassphraseIdentity(pass.Reveal(), work)
	return append(ids, id), err
}
