package etcd3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A Standing is how an endpoint does, or a member that no endpoint leads to.
type Standing struct {
	// Endpoint is as it was given; empty: the member was not asked.
	Endpoint string `json:"endpoint,omitempty"`
	// Member is etcd's id of it, and Name what the cluster calls it, where it tells.
	Member string `json:"member,omitempty"`
	Name   string `json:"name,omitempty"`
	// Problem is why it does not serve; empty: it does.
	Problem string `json:"problem,omitempty"`
	Version string `json:"version,omitempty"`
	Leader  bool   `json:"leader,omitempty"`
	Learner bool   `json:"learner,omitempty"`
	// Leaderless: it knows of no leader, and takes no writes.
	Leaderless bool `json:"leaderless,omitempty"`
	// Size is that of its database in bytes, InUse how much of it is filled, and Quota what
	// it may come to; a quota of 0 is not told, as by etcd before 3.6.
	Size  int64 `json:"size"`
	InUse int64 `json:"in_use"`
	Quota int64 `json:"quota"`
	// Alarms are those that it knows of, whichever member raised them.
	Alarms []etcdwalk.Alarm `json:"alarms,omitempty"`
}

// Standings are how all endpoints do, in their order, those that were left out when the
// cluster was dialled too, and then the members that none leads to. That these are not known
// is no failure: why says why.
func (c *Cluster) Standings(ctx context.Context) (all []Standing, why string, err error) {
	members := slices.Clone(c.members.all)
	asked := make([]Standing, len(members))
	var asking sync.WaitGroup
	for i, m := range members {
		asking.Go(func() { asked[i] = c.standing(ctx, m) })
	}
	asking.Wait()
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	for _, e := range c.endpoints {
		if i := slices.IndexFunc(asked, func(s Standing) bool { return s.Endpoint == e.Text }); i >= 0 {
			all = append(all, asked[i])
		} else if at := slices.IndexFunc(c.leftOut, func(s Standing) bool { return s.Endpoint == e.Text }); at >= 0 {
			all = append(all, c.leftOut[at])
		}
	}
	if all, err = c.named(ctx, all); err == nil {
		return all, "", nil
	}
	if ctx.Err() != nil || errors.Is(err, etcdwalk.ErrInvariant) {
		return nil, "", fmt.Errorf("ask which members there are: %w", err)
	}
	return all, err.Error(), nil
}

// standing asks one member how it does.
func (c *Cluster) standing(ctx context.Context, m *member) Standing {
	s := Standing{Endpoint: m.name(), Member: strconv.FormatUint(m.id, 16)}
	status, err := c.status(ctx, m)
	if err != nil {
		s.Problem = err.Error()
		return s
	}
	s.Version, s.Leader, s.Learner, s.Leaderless = status.Version, status.Leader == m.id && m.id != 0, status.IsLearner, status.Leader == 0
	s.Size, s.InUse, s.Quota, s.Alarms = status.DbSize, status.DbSizeInUse, status.DbSizeQuota, alarmsIn(status)
	return s
}

// alarmsIn are the alarms that a member tells of.
func alarmsIn(status *pb.StatusResponse) (alarms []etcdwalk.Alarm) {
	for _, text := range status.GetErrors() {
		for _, alarm := range []etcdwalk.Alarm{etcdwalk.AlarmCorrupt, etcdwalk.AlarmNoSpace} {
			if strings.Contains(text, string(alarm)) && !slices.Contains(alarms, alarm) {
				alarms = append(alarms, alarm)
			}
		}
	}
	return alarms
}

// named adds what the cluster calls its members, and those of them that no endpoint leads to.
func (c *Cluster) named(ctx context.Context, all []Standing) ([]Standing, error) {
	var answer *pb.MemberListResponse
	err := c.try(ctx, "list the members", func(ctx context.Context) (err error) {
		answer, err = pb.NewClusterClient(c.members).MemberList(ctx, &pb.MemberListRequest{Linearizable: true}, grpc.WaitForReady(false))
		return err
	})
	if err == nil {
		err = c.checkHeader(answer.Header)
	}
	if err != nil {
		return all, err
	}
	for _, m := range answer.Members {
		id := strconv.FormatUint(m.ID, 16)
		known := false
		for i := range all {
			if all[i].Member == id {
				known, all[i].Name = true, m.Name
			}
		}
		if !known && !leadsTo(all, m) {
			all = append(all, Standing{Member: id, Name: m.Name, Learner: m.IsLearner, Problem: "no endpoint that was given leads to it (" + strings.Join(m.ClientURLs, ", ") + ")"})
		}
	}
	return all, nil
}

// leadsTo tells whether an endpoint that does not serve is where a member says that it serves.
func leadsTo(all []Standing, m *pb.Member) bool {
	return slices.ContainsFunc(all, func(s Standing) bool {
		return s.Member == "" && slices.ContainsFunc(m.ClientURLs, func(url string) bool { return url == s.Endpoint || strings.HasSuffix(url, "//"+s.Endpoint) })
	})
}

// compactionTime is how long a member may take to tell what it was compacted to: it looks
// after watches of the past ten times a second.
const compactionTime = 3 * time.Second

// Compacted tells to which revision the cluster was compacted last; 0: never, and less than
// 0: it does not tell, as kine. No request asks for it; but a watch of the past is told where
// the past begins. key is one that may be read, whether or not it is there.
func (c *Cluster) Compacted(ctx context.Context, key []byte) (int64, error) {
	serving := c.members.serving()[0]
	watching, done := context.WithTimeout(ctx, compactionTime)
	defer done()
	answers := serving.client.Watch(watching, string(key), clientv3.WithRev(1))
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case answer, open := <-answers:
			switch {
			case answer.CompactRevision > 0:
				return answer.CompactRevision, nil
			case len(answer.Events) > 0, answer.IsProgressNotify():
				return 0, nil
			case ctx.Err() != nil:
				return -1, ctx.Err()
			case watching.Err() != nil:
				return -1, nil
			case answer.Err() != nil && strings.Contains(answer.Err().Error(), rpctypes.ErrorDesc(rpctypes.ErrGRPCPermissionDenied)):
				return -1, fmt.Errorf("watch key %q for what was compacted: %w", key, etcdwalk.ErrDenied) // which the server tells in words only
			case !open, answer.Canceled:
				return -1, nil
			}
		case <-again.C: // only one that has caught up with the present is answered
			if err := serving.client.RequestProgress(watching); err != nil && watching.Err() == nil {
				return -1, nil //nolint:nilerr // it is not told, which is an answer
			}
		}
	}
}
