package object

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of the fields of a RangeAllocation (api: core/v1/generated.proto).
const (
	allocationRange = 2
	allocationData  = 3
)

// NodePorts are the first and the last node port of a cluster, from the stored
// RangeAllocation that says which of them are taken. Errors repeat no byte of it.
func (o *Opener) NodePorts(ctx context.Context, key, value []byte) (first, last int, err error) {
	plain, err := o.Open(ctx, key, value)
	if err != nil {
		return 0, 0, err
	}
	p, err := parsePorts(plain)
	if err != nil {
		return 0, 0, err
	}
	return p.first, p.last, nil
}

// TakePorts is a stored RangeAllocation in which some node ports are taken too. All else of
// it stays as it was; it is the very same value if they were taken. If it was encrypted at
// rest, it is again.
func (o *Opener) TakePorts(ctx context.Context, key, value []byte, ports ...int) ([]byte, error) {
	return o.edit(ctx, key, value, func(plain []byte) ([]byte, error) {
		p, err := parsePorts(plain)
		if err != nil {
			return nil, err
		}
		return p.with(ports)
	})
}

// nodePorts are those that are taken, as API servers store them: one number, big-endian and
// without leading zeros. A bit of it is a port, the lowest the first of the range (kubernetes:
// pkg/registry/core/service/allocator/bitmap.go).
type nodePorts struct {
	value       []byte
	first, last int
	taken       *big.Int
}

// parsePorts reads a RangeAllocation in protobuf or JSON.
func parsePorts(value []byte) (*nodePorts, error) {
	var m Meta
	var ports string
	var data []byte
	var err error
	switch encodingByMark(value) {
	case Protobuf:
		ports, data, err = m.readAllocation(value[len(protobufMagic):])
	case JSON:
		var read struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Range      string `json:"range"`
			Data       []byte `json:"data"`
		}
		if json.Unmarshal(bytes.TrimSpace(value), &read) != nil {
			err = errors.New("no JSON of a RangeAllocation")
		}
		m.APIVersion, m.Kind, ports, data = read.APIVersion, read.Kind, read.Range, read.Data
	default:
		err = errUnedited
	}
	if err != nil {
		return nil, err
	}
	if m.APIVersion != "v1" || m.Kind != "RangeAllocation" {
		return nil, errors.New("no RangeAllocation")
	}
	p := &nodePorts{value: value, taken: new(big.Int).SetBytes(data)}
	if p.first, p.last, err = portRange(ports); err != nil {
		return nil, err
	}
	if p.taken.BitLen() > p.last-p.first+1 {
		return nil, errors.New("ports beyond its range are taken")
	}
	return p, nil
}

// readAllocation reads a RangeAllocation in its envelope, but for its metadata.
func (m *Meta) readAllocation(b []byte) (ports string, data []byte, err error) {
	raw, err := m.readEnvelope(b)
	if err != nil {
		return "", nil, err
	}
	var text []byte
	err = eachField(raw, "range allocation", func(f field) error {
		switch f.number {
		case allocationRange:
			return f.once(&text)
		case allocationData:
			return f.once(&data)
		}
		return nil
	})
	return string(text), data, err
}

// portRange reads a range as API servers write it.
func portRange(text string) (first, last int, err error) {
	from, to, _ := strings.Cut(text, "-")
	first, errFirst := strconv.Atoi(from)
	last, errLast := strconv.Atoi(to)
	if errFirst != nil || errLast != nil || first < 1 || last < first || last > 65535 || text != fmt.Sprintf("%d-%d", first, last) {
		return 0, 0, errors.New("its range is none of ports")
	}
	return first, last, nil
}

// with is the stored value in which some ports are taken too.
func (p *nodePorts) with(ports []int) ([]byte, error) {
	taken := new(big.Int).Set(p.taken)
	for _, port := range ports {
		if port < p.first || port > p.last {
			return nil, fmt.Errorf("port %d is none of %d-%d", port, p.first, p.last)
		}
		taken.SetBit(taken, port-p.first, 1)
	}
	if taken.Cmp(p.taken) == 0 {
		return p.value, nil
	}
	if encodingByMark(p.value) == JSON {
		return jsonWithData(p.value, taken.Bytes())
	}
	return inEnvelope(p.value, func(raw []byte) ([]byte, error) {
		rest, err := edited(raw, allocationData, nil)
		return protowire.AppendBytes(protowire.AppendTag(rest, allocationData, protowire.BytesType), taken.Bytes()), err
	})
}

// jsonWithData is a JSON object with another member data, the last.
func jsonWithData(value, data []byte) ([]byte, error) {
	text, err := members(bytes.TrimSpace(value), func(name string, member []byte) ([]byte, error) {
		if name == "data" {
			return nil, nil
		}
		return member, nil
	})
	if err != nil {
		return nil, err
	}
	// It has a range, and so a member before this one.
	text = fmt.Appendf(text[:len(text)-1], ",\"data\":%q}", base64.StdEncoding.EncodeToString(data))
	return append(text, value[len(bytes.TrimRight(value, " \t\r\n")):]...), nil
}
