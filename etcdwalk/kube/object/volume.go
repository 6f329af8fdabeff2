package object

import (
	"bytes"
	"context"
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// Numbers of the fields of a PersistentVolume (api: core/v1/generated.proto).
const (
	volumeSpec   = 2
	volumePolicy = 5 // in its spec
)

// What becomes of a volume's disk once its claim is gone (api: core/v1/types.go).
const (
	policyDelete = "Delete"
	policyRetain = "Retain"
)

// RetainVolume is a stored PersistentVolume whose reclaim policy is Retain instead of
// Delete. All else of it stays as it was. If it was encrypted at rest, it is again. It is an
// error if it is no PersistentVolume with policy Delete, or in an encoding that is not edited.
func (o *Opener) RetainVolume(ctx context.Context, key, value []byte) ([]byte, error) {
	return o.edit(ctx, key, value, retainVolume)
}

func retainVolume(value []byte) ([]byte, error) {
	encoding := encodingByMark(value)
	if encoding != Protobuf && encoding != JSON {
		return nil, errUnedited
	}
	_, m, err := Read(value)
	if err != nil {
		return nil, err
	}
	if m.APIVersion != "v1" || m.Kind != "PersistentVolume" {
		return nil, errors.New("no PersistentVolume")
	}
	edits := 0
	retain := func(policy string) error {
		if edits++; policy != policyDelete || edits > 1 {
			return errors.New("its reclaim policy is not Delete, or is there twice")
		}
		return nil
	}
	var made []byte
	if encoding == JSON {
		made, err = jsonRetained(value, retain)
	} else {
		made, err = protobufRetained(value, retain)
	}
	if err == nil && edits == 0 {
		err = errors.New("it has no reclaim policy")
	}
	return made, err
}

// jsonRetained asks of the policy that it replaces.
func jsonRetained(value []byte, retain func(policy string) error) ([]byte, error) {
	text, err := members(bytes.TrimSpace(value), func(name string, member []byte) ([]byte, error) {
		if name != "spec" {
			return member, nil
		}
		return members(member, func(name string, member []byte) ([]byte, error) {
			if name != "persistentVolumeReclaimPolicy" {
				return member, nil
			}
			policy, err := jsontext.AppendUnquote(nil, member)
			if err != nil {
				return nil, errors.New("its reclaim policy is no text")
			}
			return []byte(`"` + policyRetain + `"`), retain(string(policy))
		})
	})
	if err != nil {
		return nil, err
	}
	return append(text, value[len(bytes.TrimRight(value, " \t\r\n")):]...), nil
}

// protobufRetained asks of the policy that it replaces.
func protobufRetained(value []byte, retain func(policy string) error) ([]byte, error) {
	return inEnvelope(value, func(raw []byte) ([]byte, error) {
		return edited(raw, volumeSpec, func(spec []byte) ([]byte, error) {
			return edited(spec, volumePolicy, func(policy []byte) ([]byte, error) {
				return []byte(policyRetain), retain(string(policy))
			})
		})
	})
}
