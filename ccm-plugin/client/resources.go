package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"mockcloud.dev/ccm-plugin/client/api"
)

// Instances lists instances, terminated ones that are still visible included.
func (c *Client) Instances(ctx context.Context, filter Filter) ([]api.Instance, int64, error) {
	return list[api.Instance](ctx, c, "instances.list", func(ctx context.Context, token *string) (*http.Response, error) {
		params := &api.InstancesListParams{Limit: &pageLimit, PageToken: token, Name: filter.name(), State: optional(filter.State)}
		return c.api.InstancesList(ctx, params, filter.tags)
	})
}

func (c *Client) Instance(ctx context.Context, id string) (api.Instance, error) {
	got, err := byID[api.Instance](ctx, c, "instances.get", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.InstancesGet(ctx, id, nil)
	})
	if err == nil && got.Id != id {
		return got, fmt.Errorf("instances.get: asked for %s, the answer is about %q", id, got.Id)
	}
	return got, err
}

// CreateInstance creates one; Count must be unset.
func (c *Client) CreateInstance(ctx context.Context, body api.InstanceCreate) (api.Instance, error) {
	return call[api.Instance](ctx, c, "instances.create", c.createInstance(body))
}

// CreateInstances creates count of them, named <name>-1 and so on.
func (c *Client) CreateInstances(ctx context.Context, body api.InstanceCreate, count int) ([]api.Instance, error) {
	body.Count = &count
	got, err := call[page[api.Instance]](ctx, c, "instances.create", c.createInstance(body))
	return got.Items, err
}

func (c *Client) createInstance(body api.InstanceCreate) func(context.Context) (*http.Response, error) {
	key := newKey()
	return func(ctx context.Context) (*http.Response, error) {
		return c.api.InstancesCreate(ctx, &api.InstancesCreateParams{IdempotencyKey: key}, body)
	}
}

func (c *Client) UpdateInstance(ctx context.Context, id string, body api.InstanceUpdate) (api.Instance, error) {
	return byID[api.Instance](ctx, c, "instances.update", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.InstancesUpdate(ctx, id, nil, body)
	})
}

func (c *Client) StartInstance(ctx context.Context, id string) (api.Instance, error) {
	return byID[api.Instance](ctx, c, "instances.start", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.InstancesStart(ctx, id, nil)
	})
}

func (c *Client) StopInstance(ctx context.Context, id string) (api.Instance, error) {
	return byID[api.Instance](ctx, c, "instances.stop", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.InstancesStop(ctx, id, nil, api.InstancesStopJSONRequestBody{})
	})
}

func (c *Client) RebootInstance(ctx context.Context, id string) (api.Instance, error) {
	return byID[api.Instance](ctx, c, "instances.reboot", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.InstancesReboot(ctx, id, nil)
	})
}

func (c *Client) TerminateInstance(ctx context.Context, id string) (api.Instance, error) {
	return byID[api.Instance](ctx, c, "instances.terminate", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.InstancesTerminate(ctx, id, nil, api.InstancesTerminateJSONRequestBody{})
	})
}

func (c *Client) LoadBalancers(ctx context.Context, filter Filter) ([]api.LoadBalancer, int64, error) {
	return list[api.LoadBalancer](ctx, c, "load_balancers.list", func(ctx context.Context, token *string) (*http.Response, error) {
		params := &api.LoadBalancersListParams{Limit: &pageLimit, PageToken: token, Name: filter.name(), State: optional(filter.State)}
		return c.api.LoadBalancersList(ctx, params, filter.tags)
	})
}

func (c *Client) LoadBalancer(ctx context.Context, id string) (api.LoadBalancer, error) {
	return byID[api.LoadBalancer](ctx, c, "load_balancers.get", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.LoadBalancersGet(ctx, id, nil)
	})
}

func (c *Client) CreateLoadBalancer(ctx context.Context, body api.LoadBalancerCreate) (api.LoadBalancer, error) {
	params := &api.LoadBalancersCreateParams{IdempotencyKey: newKey()}
	return call[api.LoadBalancer](ctx, c, "load_balancers.create", func(ctx context.Context) (*http.Response, error) {
		return c.api.LoadBalancersCreate(ctx, params, body)
	})
}

func (c *Client) UpdateLoadBalancer(ctx context.Context, id string, body api.LoadBalancerUpdate) (api.LoadBalancer, error) {
	return byID[api.LoadBalancer](ctx, c, "load_balancers.update", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.LoadBalancersUpdate(ctx, id, nil, body)
	})
}

// DeleteLoadBalancer starts the deletion; the answer may still be in state deleting.
func (c *Client) DeleteLoadBalancer(ctx context.Context, id string) (api.LoadBalancer, error) {
	return byID[api.LoadBalancer](ctx, c, "load_balancers.delete", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.LoadBalancersDelete(ctx, id, nil)
	})
}

func (c *Client) TargetPools(ctx context.Context, filter Filter) ([]api.TargetPool, int64, error) {
	return list[api.TargetPool](ctx, c, "target_pools.list", func(ctx context.Context, token *string) (*http.Response, error) {
		params := &api.TargetPoolsListParams{Limit: &pageLimit, PageToken: token, Name: filter.name()}
		return c.api.TargetPoolsList(ctx, params, filter.tags)
	})
}

func (c *Client) TargetPool(ctx context.Context, id string) (api.TargetPool, error) {
	return byID[api.TargetPool](ctx, c, "target_pools.get", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.TargetPoolsGet(ctx, id, nil)
	})
}

func (c *Client) CreateTargetPool(ctx context.Context, body api.TargetPoolCreate) (api.TargetPool, error) {
	params := &api.TargetPoolsCreateParams{IdempotencyKey: newKey()}
	return call[api.TargetPool](ctx, c, "target_pools.create", func(ctx context.Context) (*http.Response, error) {
		return c.api.TargetPoolsCreate(ctx, params, body)
	})
}

func (c *Client) UpdateTargetPool(ctx context.Context, id string, body api.TargetPoolUpdate) (api.TargetPool, error) {
	return byID[api.TargetPool](ctx, c, "target_pools.update", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.TargetPoolsUpdate(ctx, id, nil, body)
	})
}

func (c *Client) DeleteTargetPool(ctx context.Context, id string) error {
	_, err := byID[struct{}](ctx, c, "target_pools.delete", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.TargetPoolsDelete(ctx, id, nil)
	})
	return err
}

func (c *Client) Addresses(ctx context.Context, filter Filter) ([]api.Address, int64, error) {
	return list[api.Address](ctx, c, "addresses.list", func(ctx context.Context, token *string) (*http.Response, error) {
		params := &api.AddressesListParams{Limit: &pageLimit, PageToken: token, Name: filter.name()}
		return c.api.AddressesList(ctx, params, filter.tags)
	})
}

func (c *Client) CreateAddress(ctx context.Context, body api.AddressCreate) (api.Address, error) {
	params := &api.AddressesCreateParams{IdempotencyKey: newKey()}
	return call[api.Address](ctx, c, "addresses.create", func(ctx context.Context) (*http.Response, error) {
		return c.api.AddressesCreate(ctx, params, body)
	})
}

func (c *Client) DeleteAddress(ctx context.Context, id string) error {
	_, err := byID[struct{}](ctx, c, "addresses.delete", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.AddressesDelete(ctx, id, nil)
	})
	return err
}

func (c *Client) Routes(ctx context.Context, filter Filter) ([]api.Route, int64, error) {
	return list[api.Route](ctx, c, "routes.list", func(ctx context.Context, token *string) (*http.Response, error) {
		params := &api.RoutesListParams{Limit: &pageLimit, PageToken: token, Name: filter.name(),
			Network: optional(filter.Network), State: optional(filter.State)}
		return c.api.RoutesList(ctx, params, filter.tags)
	})
}

func (c *Client) Route(ctx context.Context, id string) (api.Route, error) {
	return byID[api.Route](ctx, c, "routes.get", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.RoutesGet(ctx, id, nil)
	})
}

func (c *Client) CreateRoute(ctx context.Context, body api.RouteCreate) (api.Route, error) {
	params := &api.RoutesCreateParams{IdempotencyKey: newKey()}
	return call[api.Route](ctx, c, "routes.create", func(ctx context.Context) (*http.Response, error) {
		return c.api.RoutesCreate(ctx, params, body)
	})
}

// DeleteRoute starts the deletion; the answer may still be in state deleting.
func (c *Client) DeleteRoute(ctx context.Context, id string) (api.Route, error) {
	return byID[api.Route](ctx, c, "routes.delete", id, func(ctx context.Context) (*http.Response, error) {
		return c.api.RoutesDelete(ctx, id, nil)
	})
}

// Revision is the cloud's newest one, told by the shortest of lists.
func (c *Client) Revision(ctx context.Context) (int64, error) {
	got, err := onePage[json.RawMessage](ctx, c, "target_pools.list", func(ctx context.Context) (*http.Response, error) {
		one := 1
		return c.api.TargetPoolsList(ctx, &api.TargetPoolsListParams{Limit: &one})
	})
	return got.Revision, err
}

// Events lists the events after a revision, one page; IsGone if the cloud no longer keeps them.
func (c *Client) Events(ctx context.Context, since int64) (api.EventList, error) {
	return call[api.EventList](ctx, c, "events.list", func(ctx context.Context) (*http.Response, error) {
		return c.api.EventsList(ctx, &api.EventsListParams{Since: &since})
	})
}

// AdvanceClock moves a manual clock (scope sim).
func (c *Client) AdvanceClock(ctx context.Context, by string) (api.ClockAdvanced, error) {
	return call[api.ClockAdvanced](ctx, c, "clock.advance", func(ctx context.Context) (*http.Response, error) {
		return c.api.ClockAdvance(ctx, api.ClockAdvance{By: &by})
	})
}

// SetLatency gives a transition a fixed duration (scope sim).
func (c *Client) SetLatency(ctx context.Context, transition, duration string) error {
	_, err := call[json.RawMessage](ctx, c, "latencies.put", func(ctx context.Context) (*http.Response, error) {
		return c.api.LatenciesPut(ctx, transition, api.LatencyPut{Distribution: api.DistributionFixed, Value: &duration})
	})
	return err
}

// CreateProject makes a project with one token of scope cloud (scope sim).
func (c *Client) CreateProject(ctx context.Context, name string) (api.Token, error) {
	_, err := call[api.Project](ctx, c, "projects.create", func(ctx context.Context) (*http.Response, error) {
		return c.api.ProjectsCreate(ctx, api.ProjectCreate{Name: name})
	})
	if err != nil {
		return api.Token{}, err
	}
	return call[api.Token](ctx, c, "projects.create_token", func(ctx context.Context) (*http.Response, error) {
		return c.api.ProjectsCreateToken(ctx, name, api.TokenCreate{})
	})
}
