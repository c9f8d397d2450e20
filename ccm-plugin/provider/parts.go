package provider

import (
	"context"
	"fmt"
	"maps"

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
	balancer, err := p.cloud.FreshLoadBalancer(ctx, p.name)
	if err == nil && !p.own(balancer.Tags) {
		return api.LoadBalancer{}, fmt.Errorf("load balancer %q is not ours: %w", p.name, cache.ErrNotFound)
	}
	return balancer, err
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

func (p parts) updateBalancer(ctx context.Context, w wanted, balancer api.LoadBalancer, poolID string) (api.LoadBalancer, error) {
	var body api.LoadBalancerUpdate
	listeners := w.withPool(poolID)
	if !sameListeners(balancer.Listeners, listeners) {
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
	pool, fresh, err = p.cloud.TargetPool(ctx, p.name)
	return pool, fresh, p.checkPool(pool, err)
}

func (p parts) freshPool(ctx context.Context) (api.TargetPool, error) {
	pool, err := p.cloud.FreshTargetPool(ctx, p.name)
	return pool, p.checkPool(pool, err)
}

func (p parts) checkPool(pool api.TargetPool, err error) error {
	if err == nil && !p.own(pool.Tags) {
		return fmt.Errorf("target pool %q is not ours: %w", p.name, cache.ErrNotFound)
	}
	return err
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
	var own []api.Address
	for _, address := range addresses {
		for _, family := range []api.IPFamily{api.IPFamilyIpv4, api.IPFamilyIpv6} {
			if address.Name == p.addressName(family) {
				own = append(own, address)
			}
		}
	}
	return own, err
}

func (p parts) addressName(family api.IPFamily) string { return p.name + "-" + string(family) }

// ensureAddresses returns the ids of the reserved addresses to use, none if any address will do. Those asked for by name must
// exist; a literal that nobody has reserved, and a family that nothing is asked for, is reserved for the Service's life.
func (p parts) ensureAddresses(ctx context.Context, w wanted) ([]string, error) {
	if len(w.addresses) == 0 {
		return nil, nil
	}
	all, _, err := p.cloud.API().Addresses(ctx, client.Filter{})
	if err != nil {
		return nil, err
	}
	ids := map[api.IPFamily]string{}
	for _, asked := range w.addresses {
		address, err := p.findOrReserve(ctx, all, asked, w)
		if err != nil {
			return nil, fmt.Errorf("address %q: %w", asked, err)
		}
		if ids[address.Family] != "" {
			return nil, fmt.Errorf("address %q: there is one of family %s already", asked, address.Family)
		}
		ids[address.Family] = address.Id
	}
	return p.completeFamilies(ctx, all, ids, w)
}

func (p parts) findOrReserve(ctx context.Context, all []api.Address, asked string, w wanted) (api.Address, error) {
	for _, address := range all {
		if address.Address == asked || address.Name == asked {
			return address, nil
		}
	}
	if !isLiteral(asked) {
		return api.Address{}, fmt.Errorf("no reserved address of that name: %w", cache.ErrNotFound)
	}
	return p.reserve(ctx, familyOf(asked), &asked, w)
}

func (p parts) completeFamilies(ctx context.Context, all []api.Address, ids map[api.IPFamily]string, w wanted) ([]string, error) {
	var ordered []string
	for _, family := range w.families {
		for _, address := range all {
			if ids[family] == "" && address.Name == p.addressName(family) && p.own(address.Tags) {
				ids[family] = address.Id
			}
		}
		if ids[family] == "" {
			address, err := p.reserve(ctx, family, nil, w)
			if err != nil {
				return nil, err
			}
			ids[family] = address.Id
		}
		ordered = append(ordered, ids[family])
		delete(ids, family)
	}
	for family := range ids {
		return nil, fmt.Errorf("an %s address is asked for, but not among the Service's IP families", family)
	}
	return ordered, nil
}

func (p parts) reserve(ctx context.Context, family api.IPFamily, literal *string, w wanted) (api.Address, error) {
	name := p.addressName(family)
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
