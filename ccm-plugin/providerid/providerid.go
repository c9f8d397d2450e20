// Package providerid reads and writes the provider id of a Node. The format is permanent: it is written once into
// Node.spec.providerID and can never be changed there.
package providerid

import (
	"fmt"
	"regexp"
	"strings"
)

// Prefix begins every provider id of ours: mockcloud://<zone>/<instance-id>.
const Prefix = "mockcloud://"

// KindPrefix begins those that kind gives to every node of its own: kind://docker/<cluster>/<node name>.
const KindPrefix = "kind://"

var (
	zonePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)
	idPattern   = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_.]*$`)
)

// ID is a parsed provider id: either InstanceID (and Zone) or Name is set.
type ID struct {
	Zone       string
	InstanceID string
	Name       string // kind's form names the node, and with it the instance
}

// Format writes the provider id of an instance.
func Format(zone, instanceID string) string { return Prefix + zone + "/" + instanceID }

// Of tells how to find a node's instance: by its provider id or, while it has none, by its name.
func Of(node, id string) (ID, error) {
	if id == "" {
		return ID{Name: node}, nil
	}
	return Parse(id)
}

// Parse never guesses: a prefix of another cloud or a malformed id is an error, not an instance that does not exist,
// because a node whose instance does not exist is deleted.
func Parse(id string) (ID, error) {
	if rest, ours := strings.CutPrefix(id, Prefix); ours {
		zone, instance, found := strings.Cut(rest, "/")
		if !found || !zonePattern.MatchString(zone) || !idPattern.MatchString(instance) {
			return ID{}, fmt.Errorf("provider id %q: not of the form %s<zone>/<instance-id>", id, Prefix)
		}
		return ID{Zone: zone, InstanceID: instance}, nil
	}
	if rest, kinds := strings.CutPrefix(id, KindPrefix); kinds {
		parts := strings.Split(rest, "/")
		if len(parts) != 3 || parts[1] == "" || !zonePattern.MatchString(parts[2]) {
			return ID{}, fmt.Errorf("provider id %q: not of the form %s<provider>/<cluster>/<node>", id, KindPrefix)
		}
		return ID{Name: parts[2]}, nil
	}
	return ID{}, fmt.Errorf("provider id %q: neither %s… nor %s…, it belongs to another cloud", id, Prefix, KindPrefix)
}
