package cmd

import (
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

const rulesIntro = `A restore keeps rules, before --on-conflict is asked about anything. The first
that covers an object decides:

  warn   it is said, and nothing more
  skip   the object is left out, and counted
  check  nothing is written if the object would be, until that is mended
  never  left out or checked, whatever anybody says

--allow RULE breaks a rule that is not "never". In the scenario new, into an
etcd whose API servers are down, only the rules of all scenarios count.
`

// rulesText is the page of the rules.
func rulesText() string {
	var b strings.Builder
	b.WriteString(rulesIntro)
	last := ""
	for _, r := range kube.Hazards() {
		if r.Name != last {
			fmt.Fprintf(&b, "\n%s (%s; scenario %s)\n", r.Name, r.Severity, r.In())
		}
		last = r.Name
		fmt.Fprintf(&b, "  %s\n", wrapped(r.What+": "+r.Reason, 78, "    "))
	}
	return b.String()
}

// wrapped breaks a text into lines, of which all but the first are indented.
func wrapped(text string, width int, indent string) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), indent
		}
		if strings.TrimSpace(line) != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}
