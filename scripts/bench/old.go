package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/kubeferry/kubeferry/scripts/bench/keyspace"
)

// What people do with API v2 without us.
const (
	curlWhole  = "curl ?recursive=true"
	curlSealed = "curl ?recursive=true; zstd -3; age"
)

// oldGroup measures backups over API v2, which has no snapshots: what there is
// beside us is to ask for the whole tree.
func oldGroup() group {
	return group{
		name:  "backup-o-3.5",
		about: "backups of S over API v2, on etcd 3.5",
		quick: true,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, err := b.open(ctx, "o", "3.5")
			if err != nil {
				return nil, err
			}
			tree, zst, sealed := b.work("tree.json"), b.work("tree.zst"), b.work("tree.age")
			curl := pipeline{{b.programs.curl, "-sSf", "-o", tree, d.endpoint + "/v2/keys/registry?recursive=true&quorum=true"}}
			return append([]contender{b.oursOf(d, ours)}, b.contend("backup-o-3.5", d, []peer{
				{curlWhole, job{curl}, tree, []string{"curl"}},
				{curlSealed, job{curl, {{b.programs.zstd, "-q", "-3", tree, "-o", zst}}, {{b.programs.age, "-r", b.public, "-o", sealed, zst}}}, sealed, []string{"curl", "zstd", "age"}},
			})...), nil
		},
	}
}

// fillOld puts a keyspace into API v2 of a server, in JSON, as the API servers of
// its time did, and returns the bytes of keys and values by resource.
func fillOld(ctx context.Context, k *keyspace.Keyspace, s *server) (map[string]int64, error) {
	f := &filling{bytes: map[string]int64{}}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	defer client.CloseIdleConnections()
	for _, i := range k.Shuffled(0) {
		group.Go(func() error {
			o, err := k.At(i, 0)
			if err != nil {
				return err
			}
			value, err := o.JSON()
			if err != nil {
				return err
			}
			f.sum(map[string]int64{o.Resource: int64(len(o.Key) + len(value))})
			form := url.Values{"value": {string(value)}}
			if o.Lease != 0 {
				form.Set("ttl", strconv.Itoa(leaseSeconds))
			}
			return putOld(ctx, client, s.endpoint+"/v2/keys"+o.Key, form)
		})
	}
	return f.bytes, group.Wait()
}

func putOld(ctx context.Context, client *http.Client, target string, form url.Values) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, target, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		return fmt.Errorf("put %s: HTTP status %d", filepath.Base(target), answer.StatusCode)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
