package ferry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// lock keeps other runs of this machine out of the target. A restore that keeps nothing needs
// no folder that can be written to, and is told that nobody is kept out.
func (r Restore) lock(p *Planned) (err error) {
	p.unlock, err = undo.Lock(r.Locks, p.Target)
	if err != nil && r.Keeper == nil && !errors.Is(err, undo.ErrLocked) {
		p.Doubts = append(p.Doubts, fmt.Sprintf("other runs of this machine are not kept out of the cluster: %v", err))
		return nil
	}
	return err
}

// unended looks for the same restore, that was interrupted, and returns the salt of the plan
// that is to be made: with that one's, lines of both can be compared.
func (r Restore) unended(ctx context.Context, p *Planned, now plannedHeader) (salt []byte, err error) {
	if r.Scenario == kube.ScenarioNew {
		return now.Salt, nil
	}
	rest, err := r.Keeper.Unended(ctx, p.Target)
	if err != nil || rest == nil {
		return now.Salt, err
	}
	var then plannedHeader
	if err := json.Unmarshal(rest.Header, &then); err != nil {
		return now.Salt, nil //nolint:nilerr // it is of something else
	}
	salt = then.Salt
	then.Made, then.Target, then.Salt = now.Made, now.Target, now.Salt
	if !alikeInJSON(then, now) || r.given != nil && string(salt) != string(now.Salt) {
		return now.Salt, nil
	}
	p.rest = rest
	return salt, nil
}

// rests tells whether the restore goes on with the one that was interrupted. It cannot where
// somebody has written since.
func (p *Planned) rests(ctx context.Context) error {
	if p.rest == nil {
		return nil
	}
	covers, err := p.rest.Covers(ctx, p.job.File, p.job.Seal)
	if err != nil {
		return fmt.Errorf("look at the same restore that was interrupted, %s: %w", p.rest.Name, err)
	}
	if covers {
		p.Doubts = append(p.Doubts, fmt.Sprintf("%s was the same restore, and was interrupted: this goes on with it, and one undo takes both back", p.rest.Name))
		return nil
	}
	p.Doubts = append(p.Doubts, fmt.Sprintf("%s was the same restore, and was interrupted; its keys were written since, so that it is taken back by an undo of its own, after that of this one", p.rest.Name))
	p.rest = nil
	return nil
}

// remember keeps what the restore is about to take away. What is filled new has nothing that
// could be put back.
func (r Restore) remember(ctx context.Context, p *Planned) (err error) {
	p.record = nil
	if r.Keeper == nil || r.Scenario == kube.ScenarioNew || p.Counts.Changes() == 0 && p.rest == nil {
		return nil
	}
	p.record, err = r.Keeper.Keep(ctx, undo.Change{Plan: p.job.File, Seal: p.job.Seal, Target: r.Target, View: p.target, Info: p.Target, Layout: p.layout, Rest: p.rest})
	return err
}
