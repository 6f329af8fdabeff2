package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Settings gives each flag that was not typed its value from elsewhere, and
// knows where every value came from. In order: the flag, KUBEFERRY_<FLAG>,
// ETCDCTL_<FLAG> for etcdctl's flags, the profile, the default.
type settings struct {
	sh              *shell
	config, profile string
	noInput         bool
	origins         map[string]string // flag name -> where its value came from
}

// etcdctlFlag marks a flag that etcdctl has too, so that ETCDCTL_<FLAG> counts.
const etcdctlFlag = "etcdctl"

// variables that mean something to kubeferry without standing for a flag, or
// belong to its tests and build.
var otherVariables = []string{"KUBEFERRY_PASSPHRASE", "KUBEFERRY_PASSWORD", "KUBEFERRY_LONG", "KUBEFERRY_CACHE"}

// variable is the environment variable of a flag.
func variable(flag string) string {
	if flag == "identity" {
		flag = "identity-file"
	}
	return "KUBEFERRY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// origin tells where the value of a flag came from, in words for a person.
func (s *settings) origin(flag string) string {
	if o, ok := s.origins[flag]; ok {
		return o
	}
	return "default"
}

// typed tells whether one of the flags was typed.
func (s *settings) typed(flags ...string) bool {
	return slices.ContainsFunc(flags, func(flag string) bool { return s.origin(flag) == "--"+flag })
}

// apply fills in the flags of cmd.
func (s *settings) apply(cmd *cobra.Command) error {
	if err := s.checkVariables(cmd.Root()); err != nil {
		return err
	}
	if err := checkTyped(cmd.Flags()); err != nil {
		return err
	}
	for _, flag := range []string{"config", "profile"} {
		if value, ok := s.sh.getenv(variable(flag)); ok && !cmd.Flags().Changed(flag) {
			if err := cmd.Flags().Set(flag, value); err != nil {
				return configf("%s: %w", variable(flag), err)
			}
		}
	}
	c, path, err := loadConfig(s.config, s.sh)
	if err != nil {
		return err
	}
	chosen, err := c.pick(s.profile, path)
	if errors.Is(err, errNoDefault) && cmd.Flags().Lookup("endpoints") == nil {
		err = nil // a command without a cluster can do without a profile
	}
	if err != nil {
		return err
	}
	s.origins = map[string]string{}
	values := chosen.flags()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, origin := s.lookup(f, values[f.Name], chosen.Name, path)
		if origin != "" {
			s.origins[f.Name] = origin
		}
		wanted := values[f.Name]
		if cmd.Flags().Changed("profile") && strings.HasPrefix(origin, "ETCDCTL_") && wanted != "" && wanted != value {
			// Half a profile and half another cluster's environment is nobody's
			// wish, and the archive would bear the profile's label.
			err = configf("profile %s and %s say different things of --%s; unset the variable, or type the flag", chosen.Name, origin, f.Name)
		}
		if err == nil && value != "" {
			if e := f.Value.Set(value); e != nil {
				err = configf("%s, for --%s: %w", origin, f.Name, plain(f, e))
			}
		}
	})
	return err
}

// lookup finds the value and the origin of one flag. The value is empty if the
// flag has it already.
func (s *settings) lookup(f *pflag.Flag, fromProfile, profile, path string) (value, origin string) {
	if f.Changed {
		return "", "--" + f.Name
	}
	if f.Name == "passphrase" || f.Name == "help" {
		return "", "" // KUBEFERRY_PASSPHRASE is the passphrase itself
	}
	names := []string{variable(f.Name)}
	if _, ok := f.Annotations[etcdctlFlag]; ok {
		names = append(names, "ETCDCTL_"+strings.TrimPrefix(variable(f.Name), "KUBEFERRY_"))
	}
	for _, name := range names {
		if value, ok := s.sh.getenv(name); ok {
			return value, name
		}
	}
	if fromProfile != "" {
		return fromProfile, fmt.Sprintf("profile %s of %s", profile, path)
	}
	return "", ""
}

// checkTyped refuses a flag that was typed with nothing: -n "$NS" without a
// value in NS must not mean all namespaces.
func checkTyped(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if value := f.Value.String(); value == "" || value == "[]" {
			err = usagef("--%s is empty%s", f.Name, unsetVariable)
		}
	})
	return err
}

// checkVariables refuses a KUBEFERRY_ variable that nothing reads: a misspelt
// one would be a setting that silently does not hold.
func (s *settings) checkVariables(root *cobra.Command) error {
	known := slices.Clone(otherVariables)
	for _, c := range append(root.Commands(), root) {
		for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) {
				if f.Name != "help" {
					known = append(known, variable(f.Name))
				}
			})
		}
	}
	for _, pair := range s.sh.environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "KUBEFERRY_") || strings.HasPrefix(name, "KUBEFERRY_TEST_") || slices.Contains(known, name) {
			continue
		}
		return configf("unknown environment variable %s%s", name, didYouMean(name, known))
	}
	return nil
}
