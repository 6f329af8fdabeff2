package cmd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
)

// unmarked warns of node ports that others could still be given.
func (o *restoreOptions) unmarked(planned *ferry.Planned) {
	for _, u := range planned.Unmarked {
		o.s.Warn("%s not marked as taken in %s (%v): the API server finds that out and does it within minutes; make no Service with a node port until then", portsText(u.Ports), console.Printable(u.Key), u.Err)
	}
}

// mostPorts is how many node ports are named.
const mostPorts = 10

// portsText names node ports, with the verb that fits: is or are.
func portsText(ports []int) string {
	var names []string
	for _, port := range ports[:min(len(ports), mostPorts)] {
		names = append(names, strconv.Itoa(port))
	}
	if rest := len(ports) - len(names); rest > 0 {
		names = append(names, fmt.Sprintf("%d others", rest))
	}
	if len(names) == 1 {
		return "node port " + names[0] + " is"
	}
	return "node ports " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " are"
}
