package object

import (
	"bytes"
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

// Ports are the node ports of a cluster that are taken, as API servers store them: a
// RangeAllocation, whose data is one number, big-endian and without leading zeros. A bit of
// it is a port, the lowest the first of the range (kubernetes:
// pkg/registry/core/service/allocator/bitmap.go).
type Ports struct {
	// Range is the ports there are, as in "30000-32767".
	Range string

	value       []byte
	first, last int
	taken       *big.Int
}

// ParsePorts reads a stored RangeAllocation, in protobuf or JSON. Errors repeat no byte of it.
func ParsePorts(value []byte) (*Ports, error) {
	p := &Ports{value: value}
	var m Meta
	var data []byte
	var err error
	switch encodingByMark(value) {
	case Protobuf:
		data, err = p.readProtobuf(&m)
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
		m.APIVersion, m.Kind, p.Range, data = read.APIVersion, read.Kind, read.Range, read.Data
	default:
		err = errUnedited
	}
	if err != nil {
		return nil, err
	}
	if m.APIVersion != "v1" || m.Kind != "RangeAllocation" {
		return nil, errors.New("no RangeAllocation")
	}
	if p.first, p.last, err = portRange(p.Range); err != nil {
		return nil, err
	}
	p.taken = new(big.Int).SetBytes(data)
	if p.taken.BitLen() > p.last-p.first+1 {
		return nil, errors.New("ports beyond its range are taken")
	}
	return p, nil
}

func (p *Ports) readProtobuf(m *Meta) (data []byte, err error) {
	raw, err := m.readEnvelope(p.value[len(protobufMagic):])
	if err != nil {
		return nil, err
	}
	var ports []byte
	err = eachField(raw, "range allocation", func(f field) error {
		switch f.number {
		case allocationRange:
			return f.once(&ports)
		case allocationData:
			return f.once(&data)
		}
		return nil
	})
	p.Range = string(ports)
	return data, err
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

// Contains tells whether a port is one of the range.
func (p *Ports) Contains(port int) bool { return port >= p.first && port <= p.last }

// Taken tells whether a port is.
func (p *Ports) Taken(port int) bool { return p.Contains(port) && p.taken.Bit(port-p.first) == 1 }

// With is the stored value in which some ports are taken too, and all else is as it was: the
// very same bytes if they were.
func (p *Ports) With(ports ...int) ([]byte, error) {
	taken := new(big.Int).Set(p.taken)
	for _, port := range ports {
		if !p.Contains(port) {
			return nil, fmt.Errorf("port %d is not in the range %s", port, p.Range)
		}
		taken.SetBit(taken, port-p.first, 1)
	}
	if taken.Cmp(p.taken) == 0 {
		return p.value, nil
	}
	if encodingByMark(p.value) == JSON {
		return jsonWithData(p.value, taken.Bytes())
	}
	envelope, err := edited(p.value[len(protobufMagic):], unknownRaw, func(raw []byte) ([]byte, error) {
		rest, err := edited(raw, allocationData, nil)
		return protowire.AppendBytes(protowire.AppendTag(rest, allocationData, protowire.BytesType), taken.Bytes()), err
	})
	if err != nil {
		return nil, err
	}
	return append([]byte(protobufMagic), envelope...), nil
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
