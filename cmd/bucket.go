package cmd

import (
	"context"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/dir"
)

// A bucket is the flags about the place where archives are kept.
type bucket struct{}

func (*bucket) addFlags(*pflag.FlagSet) {}

// store resolves a place that holds archives.
func (*bucket) store(_ context.Context, _ *printer, place string) (remote.Store, error) {
	if strings.HasPrefix(place, "s3://") {
		return nil, usagef("%s: S3 is not supported yet; name a folder", place)
	}
	if err := mustBeFolder(place); err != nil {
		return nil, err
	}
	return dir.New(place, dir.Options{}), nil
}
