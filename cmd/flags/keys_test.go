package flags

import (
	"fmt"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/console"
)

// The variable may be read once, by us.
func TestPassphraseVariableIsUnset(t *testing.T) {
	var unset []string
	sh := &console.Shell{Environ: []string{"KUBEFERRY_PASSPHRASE=correct horse"}, Unset: func(name string) error {
		unset = append(unset, name)
		return nil
	}}
	pass, found, err := (&passphrase{s: &Settings{Printer: &console.Printer{Shell: sh}}, fd: -1}).get(t.Context(), false)
	if err != nil || !found || pass.Reveal() != "correct horse" {
		t.Errorf("got %q, %v, %v", pass.Reveal(), found, err)
	}
	if fmt.Sprint(unset) != "[KUBEFERRY_PASSPHRASE]" {
		t.Errorf("unset are %v", unset)
	}
}
