package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mockcloud.dev/ccm-plugin/cache"
	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
)

// parts finds, makes and deletes what belongs to one Service. A thing of its name without our tag is somebody else's.
type parts struct {
	cloud *cache.Cloud
	name  string
	tags  api.Tags
}

func (p parts) own(tags api.Tags) bool {
	value, tagged := tags[ClusterTag]
	return tagged && value == p.tags[ClusterTag]
}

// balancer asks the cloud itself. Somebody else's of that name counts as none.
func (p parts) balancer(ctx context.Context) (api.LoadBalancer, error) {
	return p.cloud.FreshLoadBalancer(ctx, p.name, ClusterTag, p.tags[ClusterTag])
}

func (p parts) createBalancer(ctx context.Context, w wanted, poolID string, addressIDs []string) (api.LoadBalancer, error) {
	listeners := w.withPool(poolID)
	body := api.LoadBalancerCreate{
		Name: &p.name, Scheme: &w.scheme, Listeners: &listeners, SourceRanges: &w.sourceRanges, Tags: &p.tags,
	}
	if w.hostname != "" {
		body.Hostname = &w.hostname
	}
	if len(addressIDs) > 0 {
		body.AddressIds = &addressIDs
	} else {
		body.IpFamilies = &w.families
	}
	return p.cloud.API().CreateLoadBalancer(ctx, body)
}

// updateBalancer changes what differs. One that has failed gets its listeners in any case: an update is what repairs it.
func (p parts) updateBalancer(ctx context.Context, w wanted, balancer api.LoadBalancer, poolID string) (api.LoadBalancer, error) {
	var body api.LoadBalancerUpdate
	listeners := w.withPool(poolID)
	if balancer.State == api.LoadBalancerStateError || !sameListeners(balancer.Listeners, listeners) {
		body.Listeners = &listeners
	}
	if !sameRanges(balancer.SourceRanges, w.sourceRanges) {
		body.SourceRanges = &w.sourceRanges
	}
	body.Tags = p.tagsPatch(balancer.Tags)
	if body == (api.LoadBalancerUpdate{}) {
		return balancer, nil
	}
	return p.cloud.API().UpdateLoadBalancer(ctx, balancer.Id, body)
}

// tagsPatch adds our tags where they differ; tags that somebody else has put on our things stay.
func (p parts) tagsPatch(present api.Tags) *api.TagsPatch {
	patch := api.TagsPatch{}
	for key, value := range p.tags {
		if got, there := present[key]; !there || got != value {
			patch[key] = &value
		}
	}
	if len(patch) == 0 {
		return nil
	}
	return &patch
}

func (p parts) pool(ctx context.Context) (pool api.TargetPool, fresh bool, err error) {
	return p.cloud.TargetPool(ctx, p.name, ClusterTag, p.tags[ClusterTag])
}

func (p parts) freshPool(ctx context.Context) (api.TargetPool, error) {
	return p.cloud.FreshTargetPool(ctx, p.name, ClusterTag, p.tags[ClusterTag])
}

func (p parts) createPool(ctx context.Context, check api.HealthCheck, targets []api.TargetRef) (api.TargetPool, error) {
	pool, err := p.cloud.API().CreateTargetPool(ctx, api.TargetPoolCreate{
		Name: &p.name, HealthCheck: &check, Targets: &targets, Tags: &p.tags,
	})
	if err == nil {
		p.cloud.KeepTargetPool(pool)
	}
	return pool, err
}

func (p parts) updatePool(ctx context.Context, id string, body api.TargetPoolUpdate) (api.TargetPool, error) {
	pool, err := p.cloud.API().UpdateTargetPool(ctx, id, body)
	if err == nil {
		p.cloud.KeepTargetPool(pool)
	}
	return pool, err
}

func (p parts) deletePool(ctx context.Context) error {
	pool, err := p.freshPool(ctx)
	if cache.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.cloud.API().DeleteTargetPool(ctx, pool.Id); err != nil && !client.IsNotFound(err) {
		return err
	}
	p.cloud.ForgetTargetPool(pool.Id)
	return nil
}

// ownAddresses lists the addresses that we have reserved for this Service; reserved ones of the user lack the tags.
func (p parts) ownAddresses(ctx context.Context) ([]api.Address, error) {
	addresses, _, err := p.cloud.API().Addresses(ctx, client.Filter{Tags: maps.Clone(p.tags)})
	return slices.DeleteFunc(addresses, func(a api.Address) bool { return !p.reserved(a) }), err
}

// reserved says whether we have reserved the address for this Service.
func (p parts) reserved(address api.Address) bool {
	return p.own(address.Tags) && strings.HasPrefix(address.Name, p.name+"-")
}

// addressName is unique per literal, so that a Service can go from one to another.
func (p parts) addressName(family api.IPFamily, literal *string) string {
	if literal == nil {
		return p.name + "-" + string(family)
	}
	return p.name + "-" + strings.NewReplacer(".", "-", ":", "-").Replace(strings.ToLower(*literal)) + "-" + string(family)
}

// ensureAddresses returns the ids of the reserved addresses to use, none if any address will do. Those asked for by name must
// exist; a literal that nobody has reserved, and a family that nothing is asked for, is reserved for the Service's life.
func (p parts) ensureAddresses(ctx context.Context, w wanted, balancerID string) ([]string, error) {
	if len(w.addresses) == 0 {
		return nil, nil
	}
	all, _, err := p.cloud.API().Addresses(ctx, client.Filter{})
	if err != nil {
		return nil, err
	}
	if all, err = p.dropOtherScheme(ctx, all, w); err != nil {
		return nil, err
	}
	chosen := map[api.IPFamily]string{}
	for _, asked := range w.addresses {
		address, err := p.findOrReserve(ctx, all, asked, w)
		if err == nil {
			err = p.usable(address, w, balancerID)
		}
		if err != nil {
			return nil, fmt.Errorf("address %q: %w", asked, err)
		}
		if !slices.Contains(w.families, address.Family) || chosen[address.Family] != "" {
			return nil, fmt.Errorf("address %q: no %s address is wanted, or there is one already", asked, address.Family)
		}
		chosen[address.Family] = address.Id
	}
	var ids []string
	for _, family := range w.families {
		if chosen[family] == "" {
			if chosen[family], err = p.anyOf(ctx, all, family, w); err != nil {
				return nil, err
			}
		}
		ids = append(ids, chosen[family])
	}
	return ids, p.release(ctx, all, ids)
}

func (p parts) findOrReserve(ctx context.Context, all []api.Address, asked string, w wanted) (api.Address, error) {
	for _, address := range all {
		if sameAddress(address.Address, asked) || address.Name == asked {
			return address, nil
		}
	}
	if !isLiteral(asked) {
		return api.Address{}, fmt.Errorf("no reserved address of that name: %w", cache.ErrNotFound)
	}
	return p.reserve(ctx, familyOf(asked), &asked, w)
}

// usable says what is wrong with an address before a load balancer that works is replaced for it: the cloud would say so only afterwards.
func (p parts) usable(address api.Address, w wanted, balancerID string) error {
	if p.reserved(address) {
		return nil
	}
	if other, reserved := address.Tags[ServiceTag]; reserved { // until that ends, which it could not if we used its address
		return fmt.Errorf("it is reserved for Service %s", other)
	}
	if user := or(address.LoadBalancerId, balancerID); user != balancerID {
		return fmt.Errorf("it is used by load balancer %s", user)
	}
	if address.Scheme != w.scheme {
		return fmt.Errorf("it is %s, the load balancer is to be %s", address.Scheme, w.scheme)
	}
	return nil
}

// anyOf is the address of a family for which none is asked, where there is one for another.
func (p parts) anyOf(ctx context.Context, all []api.Address, family api.IPFamily, w wanted) (string, error) {
	for _, address := range all {
		if p.reserved(address) && address.Name == p.addressName(family, nil) {
			return address.Id, nil
		}
	}
	address, err := p.reserve(ctx, family, nil, w)
	return address.Id, err
}

// dropOtherScheme deletes what we had reserved under another scheme, which no address can change, once no load balancer uses it
// any more, and returns the others.
func (p parts) dropOtherScheme(ctx context.Context, all []api.Address, w wanted) ([]api.Address, error) {
	var left []api.Address
	for _, address := range all {
		if !p.reserved(address) || address.Scheme == w.scheme || address.LoadBalancerId != nil {
			left = append(left, address)
		} else if err := p.cloud.API().DeleteAddress(ctx, address.Id); err != nil && !client.IsNotFound(err) {
			return nil, err
		}
	}
	return left, nil
}

// release deletes what we had reserved for an earlier wish, once no load balancer uses it any more.
func (p parts) release(ctx context.Context, all []api.Address, wanted []string) error {
	for _, address := range all {
		if !p.reserved(address) || address.LoadBalancerId != nil || slices.Contains(wanted, address.Id) {
			continue
		}
		if err := p.cloud.API().DeleteAddress(ctx, address.Id); err != nil && !client.IsNotFound(err) {
			return err
		}
	}
	return nil
}

func (p parts) reserve(ctx context.Context, family api.IPFamily, literal *string, w wanted) (api.Address, error) {
	name := p.addressName(family, literal)
	return p.cloud.API().CreateAddress(ctx, api.AddressCreate{
		Name: &name, Family: &family, Scheme: &w.scheme, Address: literal, Tags: &p.tags,
	})
}

func (p parts) deleteAddresses(ctx context.Context) error {
	own, err := p.ownAddresses(ctx)
	if err != nil {
		return err
	}
	for _, address := range own {
		if err := p.cloud.API().DeleteAddress(ctx, address.Id); err != nil && !client.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// anythingLeft says whether a pool or address of ours is still there.
func (p parts) anythingLeft(ctx context.Context) (bool, error) {
	_, err := p.freshPool(ctx)
	if err == nil || !cache.IsNotFound(err) {
		return err == nil, err
	}
	own, err := p.ownAddresses(ctx)
	return len(own) > 0, err
}
