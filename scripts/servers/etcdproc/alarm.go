package etcdproc

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Raise raises an alarm, CORRUPT or NOSPACE, in the name of the server, as it would
// itself if it found a reason.
func (s *Server) Raise(client *clientv3.Client, alarm string) error {
	ctx := context.Background()
	status, err := client.Status(ctx, s.Endpoint)
	if err != nil {
		return err
	}
	kind, known := pb.AlarmType_value[alarm]
	if !known {
		return fmt.Errorf("no alarm is called %s", alarm)
	}
	_, err = pb.NewMaintenanceClient(client.ActiveConnection()).Alarm(ctx, &pb.AlarmRequest{
		Action: pb.AlarmRequest_ACTIVATE, MemberID: status.Header.MemberId, Alarm: pb.AlarmType(kind),
	})
	return err
}
