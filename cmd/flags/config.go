package flags

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/viper"

	"github.com/kubeferry/kubeferry/cmd/console"
)

// A config is the configuration file. It holds no secret: passwords and keys
// are named by their files. Profiles are a list because viper lower-cases the
// keys of a map.
type config struct {
	DefaultProfile string    `mapstructure:"default_profile"`
	Profiles       []profile `mapstructure:"profiles"`
}

// A profile gives values to flags of the same names.
type profile struct {
	Name           string   `mapstructure:"name"`
	Cluster        string   `mapstructure:"cluster"`
	ClusterIs      string   `mapstructure:"cluster_is"`
	Endpoints      []string `mapstructure:"endpoints"`
	CACert         string   `mapstructure:"cacert"`
	Cert           string   `mapstructure:"cert"`
	Key            string   `mapstructure:"key"`
	User           string   `mapstructure:"user"`
	PasswordFile   string   `mapstructure:"password_file"`
	To             string   `mapstructure:"to"`
	RecipientsFile string   `mapstructure:"recipients_file"`
	IdentityFile   string   `mapstructure:"identity_file"`
	S3Endpoint     string   `mapstructure:"s3_endpoint"`
	S3Region       string   `mapstructure:"s3_region"`
	S3CACert       string   `mapstructure:"s3_cacert"`
	S3Profile      string   `mapstructure:"s3_profile"`
	SpoolDir       string   `mapstructure:"spool_dir"`
}

// flags returns the profile's values by the flags they stand for.
func (p profile) flags() map[string]string {
	return map[string]string{
		"cluster": p.Cluster, "cluster-is": p.ClusterIs, "endpoints": strings.Join(p.Endpoints, ","), "cacert": p.CACert, "cert": p.Cert,
		"key": p.Key, "user": p.User, "password-file": p.PasswordFile, "to": p.To,
		"recipients-file": p.RecipientsFile, "identity": p.IdentityFile,
		"s3-endpoint": p.S3Endpoint, "s3-region": p.S3Region, "s3-cacert": p.S3CACert, "s3-profile": p.S3Profile, "spool-dir": p.SpoolDir,
	}
}

// loadConfig reads the configuration file: the one that is named, or else the
// first of the usual ones that is there. It returns the file's path; empty if
// there is none.
func loadConfig(named string, sh *console.Shell) (config, string, error) {
	path := named
	for _, usual := range usualConfigs(sh) {
		if path != "" {
			break
		}
		if _, err := os.Stat(usual); err == nil {
			path = usual
		} else if !errors.Is(err, fs.ErrNotExist) {
			return config{}, "", console.Configf("look for configuration file %s: %w; --config FILE names another", usual, console.Cause(err))
		}
	}
	if path == "" {
		return config{}, "", nil
	}
	v := viper.New()
	v.SetConfigFile(path)
	if filepath.Ext(path) == "" {
		v.SetConfigType("yaml")
	}
	var c config
	if err := v.ReadInConfig(); err != nil {
		return c, path, console.Configf("read configuration file %s: %w", path, console.Cause(err))
	}
	if err := checkKeys(v.AllSettings()); err != nil {
		return c, path, console.Configf("read configuration file %s: %w", path, console.Cause(err))
	}
	if err := v.UnmarshalExact(&c); err != nil {
		return c, path, console.Configf("read configuration file %s: %w", path, console.Cause(err))
	}
	return c, path, nil
}

// checkKeys refuses a key that means nothing, with the nearest that does.
func checkKeys(all map[string]any) error {
	if err := knownKeys(all, reflect.TypeFor[config]()); err != nil {
		return err
	}
	profiles, _ := all["profiles"].([]any)
	for i, p := range profiles {
		keys, _ := p.(map[string]any)
		if err := knownKeys(keys, reflect.TypeFor[profile]()); err != nil {
			return fmt.Errorf("profile number %d: %w", i+1, err)
		}
	}
	return nil
}

func knownKeys(values map[string]any, fields reflect.Type) error {
	var known []string
	for i := range fields.NumField() {
		known = append(known, fields.Field(i).Tag.Get("mapstructure"))
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		switch {
		case slices.Contains(known, key):
		case key == "password" || key == "passphrase" || key == "identity":
			return fmt.Errorf("%q: the file holds no secrets; name a file that does (password_file, identity_file, KUBEFERRY_PASSPHRASE_FILE)", key)
		default:
			return fmt.Errorf("unknown key %q%s", key, DidYouMean(key, known))
		}
	}
	return nil
}

func usualConfigs(sh *console.Shell) []string {
	paths := []string{"/etc/kubeferry/config.yaml"}
	if home, ok := sh.Getenv("XDG_CONFIG_HOME"); ok {
		return append(paths, filepath.Join(home, "kubeferry", "config.yaml"))
	}
	if home, ok := sh.Getenv("HOME"); ok {
		return append(paths, filepath.Join(home, ".config", "kubeferry", "config.yaml"))
	}
	return paths
}

// errNoDefault: there are profiles to choose from, and none was chosen.
var errNoDefault = errors.New("no default_profile")

// pick returns the profile of that name, or the default one; an empty profile
// if the file has no default.
func (c config) pick(name, path string) (profile, error) {
	if name == "" {
		name = c.DefaultProfile
	}
	var known []string
	for _, p := range c.Profiles {
		if slices.Contains(known, p.Name) {
			return profile{}, console.Configf("profile %q stands twice in %s", p.Name, path)
		}
		known = append(known, p.Name)
	}
	if name == "" && len(known) > 0 {
		return profile{}, console.Configf("%s has profiles and %w: name one of them with --profile: %s", path, errNoDefault, strings.Join(known, ", "))
	}
	if name == "" {
		return profile{}, nil
	}
	for _, p := range c.Profiles {
		if p.Name == name {
			return p, nil
		}
	}
	if path == "" {
		return profile{}, console.Configf("profile %q: there is no configuration file; name one with --config", name)
	}
	return profile{}, console.Configf("profile %q is not in %s; it has: %s", name, path, strings.Join(known, ", "))
}
