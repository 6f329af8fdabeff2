package cmd

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/crypt"
)

// A passphrase is the flags that lead to one. It is never a flag's value:
// everybody can read the command line.
type passphrase struct {
	prompt        bool
	file, command string
	fd            int
}

func (f *passphrase) addFlags(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.prompt, "passphrase", "p", false, "ask for a passphrase on the terminal")
	flags.StringVar(&f.file, "passphrase-file", "", "file with the passphrase, mode 0600")
	flags.StringVar(&f.command, "passphrase-command", "", "command that prints the passphrase (run without a shell)")
	flags.IntVar(&f.fd, "passphrase-fd", -1, "open file descriptor to read the passphrase from")
}

// passphraseFlags are the flags that lead to a passphrase, in the order in which
// they count when none of them was typed.
var passphraseFlags = []string{"passphrase-file", "passphrase-command", "passphrase-fd", "passphrase"}

// chosen is the flag that leads to the passphrase: one that was typed goes
// before those that are set otherwise. Empty: none of them.
func (f *passphrase) chosen(s *settings) (string, error) {
	given := map[string]bool{
		"passphrase-file": f.file != "", "passphrase-command": f.command != "", "passphrase-fd": f.fd >= 0, "passphrase": f.prompt,
	}
	var typed, set []string
	for _, flag := range passphraseFlags {
		switch {
		case given[flag] && s.typed(flag):
			typed = append(typed, flag)
		case given[flag]:
			set = append(set, flag)
		}
	}
	if len(typed) > 1 {
		return "", usagef("--%s and --%s both lead to a passphrase; leave one of them out", typed[0], typed[1])
	}
	if all := append(typed, set...); len(all) > 0 {
		return all[0], nil
	}
	return "", nil
}

// get finds the passphrase; found is false if none was asked for. When it is
// to be chosen, a prompt asks twice.
func (f *passphrase) get(ctx context.Context, s *settings, choose bool) (pass secret, found bool, err error) {
	flag, err := f.chosen(s)
	if err != nil {
		return secret{}, false, err
	}
	switch flag {
	case "passphrase-file":
		pass, err = readSecretFile("passphrase", f.file, s.sh)
	case "passphrase-command":
		pass, err = secretFromCommand(ctx, "passphrase", f.command, s.sh)
	case "passphrase-fd":
		pass, err = secretFromDescriptor("passphrase", f.fd)
	case "passphrase":
		pass, err = askPassphrase(ctx, s, choose)
	default:
		return surroundingPassphrase(s.sh)
	}
	return pass, true, err
}

// surroundingPassphrase is the one that systemd hands over, or that a variable
// holds.
func surroundingPassphrase(sh *shell) (pass secret, found bool, err error) {
	if folder, ok := sh.getenv("CREDENTIALS_DIRECTORY"); ok {
		if credential := filepath.Join(folder, "passphrase"); isFile(credential) {
			pass, err = readSecretFile("passphrase", credential, sh)
			return pass, true, err
		}
	}
	value, ok := sh.getenv("KUBEFERRY_PASSPHRASE")
	if !ok {
		return secret{}, false, nil
	}
	// Children and /proc readers need not see it any longer.
	return secret{value}, true, sh.unset("KUBEFERRY_PASSPHRASE")
}

func askPassphrase(ctx context.Context, s *settings, choose bool) (secret, error) {
	pass, err := s.askSecret(ctx, question{"passphrase", "Passphrase:", "--passphrase-file"})
	if err != nil || !choose {
		return pass, err
	}
	again, err := s.askSecret(ctx, question{"passphrase", "The same again:", "--passphrase-file"})
	if err == nil && again != pass {
		err = usagef("the two passphrases differ")
	}
	return pass, err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// A sealing is the flags that say for whom an archive is encrypted.
type sealing struct {
	recipients, files []string
	passphrase        passphrase
	none              bool
}

func (f *sealing) addFlags(flags *pflag.FlagSet) {
	flags.StringSliceVarP(&f.recipients, "recipient", "r", nil, "age recipient (age1…) that can open the archive; repeatable")
	flags.StringSliceVarP(&f.files, "recipients-file", "R", nil, "file with age recipients, one a line; repeatable")
	f.passphrase.addFlags(flags)
	flags.BoolVar(&f.none, "no-encrypt", false, "write the archive in the clear; warns on each run")
}

// keys returns whom to encrypt for; none if the archive is to be in the clear.
// What was typed goes before what a profile, a variable or systemd sets.
func (f *sealing) keys(ctx context.Context, p *printer, s *settings) ([]crypt.Recipient, error) {
	named := len(f.recipients)+len(f.files) > 0
	typedKey, typedPass := s.typed("recipient", "recipients-file"), s.typed(passphraseFlags...)
	switch {
	case f.none && (typedKey || typedPass || named && !s.typed("no-encrypt")):
		return nil, usagef("--no-encrypt contradicts recipients and passphrases; leave one of them out")
	case f.none:
		p.warn("--no-encrypt: whoever can read the archive can read every Secret in it")
		return nil, nil
	case typedKey && typedPass:
		return nil, errMixed
	case typedKey:
		return f.public()
	}
	pass, found, err := f.passphrase.get(ctx, s, true)
	switch {
	case err != nil:
		return nil, err
	case found && named && !typedPass:
		return nil, errMixed
	case found:
		r, err := crypt.PassphraseRecipient(pass.reveal(), crypt.Work)
		return []crypt.Recipient{r}, err
	case !named:
		return nil, usagef(`nobody could open this archive: no recipient is given. Choose one of
  kubeferry keygen --out kubeferry.identity      makes a key pair; then backup -r age1…
  backup --passphrase (or --passphrase-file F)   encrypts with a passphrase
  backup --no-encrypt                            writes every Secret in the clear`)
	}
	return f.public()
}

// errMixed refuses what age refuses too.
var errMixed = usagef("a passphrase cannot be combined with recipients (age refuses to mix them); leave one of them out")

// opener is the flag that opens what was encrypted to the recipients.
func opener(recipients []crypt.Recipient) string {
	switch {
	case len(recipients) == 0:
		return ""
	case recipients[0].IsPassphrase():
		return " --passphrase"
	}
	return " -i IDENTITY"
}

// public reads the recipients that were named.
func (f *sealing) public() ([]crypt.Recipient, error) {
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
			return nil, configf("opening the recipients file: %w", err)
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

// An unlocking is the flags that say with what an archive is decrypted.
type unlocking struct {
	identities  []string
	passphrase  passphrase
	unencrypted bool
}

func (f *unlocking) addFlags(flags *pflag.FlagSet) {
	flags.StringSliceVarP(&f.identities, "identity", "i", nil, "file with the age identity that opens the archive, mode 0600; repeatable")
	f.passphrase.addFlags(flags)
	flags.BoolVar(&f.unencrypted, "accept-unencrypted", false, "take an archive in the clear although a key is given")
}

// open returns what an archive is opened with.
func (f *unlocking) open(ctx context.Context, s *settings) (ferry.Keys, error) {
	ids, err := f.keys(ctx, s)
	return ferry.Keys{Identities: ids, AcceptUnencrypted: f.unencrypted}, err
}

// keys returns the identities to open an archive with; none if none was named.
func (f *unlocking) keys(ctx context.Context, s *settings) ([]crypt.Identity, error) {
	var ids []crypt.Identity
	for _, path := range f.identities {
		file, err := openSecretFile("identity", path, s.sh)
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
	pass, found, err := f.passphrase.get(ctx, s, false)
	if err != nil || !found {
		return ids, err
	}
	work := crypt.MaxWorkBatch
	if f.passphrase.prompt {
		work = crypt.MaxWorkInteractive
	}
	id, err := crypt.PassphraseIdentity(pass.reveal(), work)
	return append(ids, id), err
}
