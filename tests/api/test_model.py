"""Random sequences of changes against a small model of the cloud, with the manual clock (hypothesis)."""

import tempfile

import hypothesis
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from harness.client import Client
from harness.server import Server

RETENTION = 60_000
TIMED = ["instance.pending", "instance.stopping", "instance.rebooting", "instance.terminating",
         "load_balancer.provisioning", "load_balancer.updating", "load_balancer.deleting", "target.initial",
         "target.draining", "route.pending", "route.deleting"]
DURATIONS = st.sampled_from([0, 0, 1000, 2500, 70_000])
NAMES = st.sampled_from([None, "a", "b", "c"])
ADDRESSES = [f"192.0.2.{n}" for n in range(1, 4)]
CIDRS = [f"10.128.{n}.0/24" for n in range(4)]
# state: (what the deadline leads to, the transition whose latency it has)
AFTER = {
    "pending": "running", "stopping": "stopped", "rebooting": "running", "terminating": "terminated",
    "terminated": "gone",
}
ACTIONS = {("stopped", "start"): "pending", ("running", "stop"): "stopping", ("running", "reboot"): "rebooting"}


class Model:
    """What the cloud should look like; times in milliseconds."""

    def __init__(self, latencies):
        self.latencies = {**latencies, "instance.terminated": RETENTION}
        self.now = 0
        self.instances, self.pools, self.lbs, self.routes = {}, {}, {}, {}
        self.counted = 0

    def due_in(self, transition):
        return self.now + self.latencies[transition]

    # -- instances --
    def enter_instance(self, id_, state):
        instance = self.instances[id_]
        while True:
            instance["state"], instance["due"] = state, None
            if state not in AFTER:
                break
            if self.latencies[f"instance.{state}"] > 0:
                instance["due"] = self.due_in(f"instance.{state}")
                break
            state = AFTER[state]
        if state == "gone":
            del self.instances[id_]
        self.tell(id_)

    def tell(self, id_):
        """Targets and routes follow their instance."""
        for pool in self.pools.values():
            target = pool["targets"].get(id_)
            if target:
                self.observe(id_, target)
        for route in self.routes.values():
            if route["hop"] == id_ and route["state"] in ("active", "blackhole"):
                route["state"] = self.route_state(id_)

    def instance_is(self, id_, *states):
        return id_ in self.instances and self.instances[id_]["state"] in states

    def observe(self, key, target):
        if key in ADDRESSES:
            return
        lost = key not in self.instances or self.instance_is(key, "terminated")
        if target["health"] == "initial" and lost:
            target.update(health="unhealthy", due=None)
        elif target["health"] in ("healthy", "unhealthy"):
            target["health"] = "healthy" if self.instance_is(key, "running") else "unhealthy"

    # -- targets --
    def add_target(self, pool, key):
        target = pool["targets"].get(key)
        if target and target["health"] != "draining":
            return
        if self.latencies["target.initial"] > 0:
            pool["targets"][key] = {"health": "initial", "due": self.due_in("target.initial")}
        else:
            pool["targets"][key] = {"health": "healthy", "due": None}
        self.observe(key, pool["targets"][key])

    def remove_target(self, pool, key):
        if pool["targets"][key]["health"] == "draining":
            return
        if self.latencies["target.draining"] > 0:
            pool["targets"][key] = {"health": "draining", "due": self.due_in("target.draining")}
        else:
            del pool["targets"][key]

    # -- load balancers and routes --
    def enter_lb(self, id_, state):
        if self.latencies[f"load_balancer.{state}"] > 0:
            self.lbs[id_].update(state=state, due=self.due_in(f"load_balancer.{state}"))
        else:
            self.end_lb(id_, state)

    def end_lb(self, id_, state):
        if state == "deleting":
            del self.lbs[id_]
        else:
            self.lbs[id_].update(state="active", due=None)

    def enter_route(self, id_, state):
        if self.latencies[f"route.{state}"] > 0:
            self.routes[id_].update(state=state, due=self.due_in(f"route.{state}"))
        else:
            self.end_route(id_, state)

    def end_route(self, id_, state):
        if state == "deleting":
            del self.routes[id_]
        else:
            self.routes[id_].update(state=self.route_state(self.routes[id_]["hop"]), due=None)

    def route_state(self, hop):
        return "active" if hop in ADDRESSES or self.instance_is(hop, "running") else "blackhole"

    # -- time --
    def advance(self, by):
        end = self.now + by
        while True:
            waiting = [(x["due"], kind, id_) for kind in ("instances", "lbs", "routes")
                       for id_, x in getattr(self, kind).items() if x["due"] is not None]
            waiting += [(t["due"], "pools", (id_, key)) for id_, p in self.pools.items()
                        for key, t in p["targets"].items() if t["due"] is not None]
            due = [w for w in waiting if w[0] <= end]
            if not due:
                break
            self.now, kind, id_ = min(due)
            getattr(self, "due_" + kind)(id_)
        self.now = end

    def due_instances(self, id_):
        self.enter_instance(id_, AFTER[self.instances[id_]["state"]])

    def due_lbs(self, id_):
        self.end_lb(id_, self.lbs[id_]["state"])

    def due_routes(self, id_):
        self.end_route(id_, self.routes[id_]["state"])

    def due_pools(self, which):
        pool, key = self.pools[which[0]], which[1]
        if pool["targets"][key]["health"] == "draining":
            del pool["targets"][key]
        else:
            pool["targets"][key] = {"health": "healthy", "due": None}
            self.observe(key, pool["targets"][key])


class Cloud(RuleBasedStateMachine):
    steps = 0

    @initialize(latencies=st.fixed_dictionaries({name: DURATIONS for name in TIMED}))
    def begin(self, latencies):
        self.directory = tempfile.TemporaryDirectory(prefix="mockcloud-model-")
        self.server = Server(self.directory.name).start()
        self.api = Client(self.server)
        self.model = Model(latencies)
        for name, ms in latencies.items():
            self.api.latency(name, f"{ms}ms")

    def teardown(self):
        if not hasattr(self, "api"):
            return
        try:
            events = self.api.events()
            assert [e["revision"] for e in events] == list(range(1, len(events) + 1))
            self.api.close()
            assert self.server.stop() == 0
            self.server.log_entries()
        finally:
            self.server.kill()
            self.directory.cleanup()

    def pick(self, data, kind):
        return data.draw(st.sampled_from(sorted(getattr(self.model, kind))))

    def some(self, data, kind):
        """An id of this kind, or None when there is none."""
        return self.pick(data, kind) if getattr(self.model, kind) else None

    def a_target(self, data):
        living = [i for i in self.model.instances if not self.model.instance_is(i, "terminated")]
        return data.draw(st.sampled_from(ADDRESSES + sorted(living)))

    @staticmethod
    def reference(key):
        return {"address": key} if key in ADDRESSES else {"instance_id": key}

    def named(self, kind, name):
        return name is not None and any(
            x["name"] == name and x["state"] != "terminated" for x in getattr(self.model, kind).values())

    # -- instances --
    @rule(name=NAMES)
    def create_instance(self, name):
        body = {"name": name} if name else {}
        if self.named("instances", name):
            self.api.refuse("POST", "/v1/instances", body, status=409, code="already_exists", field="name")
            return
        id_ = self.api.instance(**body)["id"]
        self.model.instances[id_] = {"name": name, "state": None, "due": None}
        self.model.enter_instance(id_, "pending")

    @rule(data=st.data(), action=st.sampled_from(["start", "stop", "reboot"]))
    def act(self, data, action):
        id_ = self.some(data, "instances")
        if id_ is None:
            return
        path = f"/v1/instances/{id_}/{action}"
        after = ACTIONS.get((self.model.instances[id_]["state"], action))
        if after is None:
            self.api.refuse("POST", path, status=409, code="illegal_transition")
            return
        self.api.post(path, expect=202)
        self.model.enter_instance(id_, after)

    @rule(data=st.data())
    def terminate(self, data):
        id_ = self.some(data, "instances")
        if id_ is None:
            return
        self.api.delete(f"/v1/instances/{id_}", expect=202)
        if not self.model.instance_is(id_, "terminating", "terminated"):
            self.model.enter_instance(id_, "terminating")

    # -- pools --
    @rule(data=st.data())
    def create_pool(self, data):
        keys = [self.a_target(data)] if data.draw(st.booleans()) else []
        id_ = self.api.pool(targets=[self.reference(key) for key in keys])["id"]
        self.model.pools[id_] = {"targets": {}}
        for key in keys:
            self.model.add_target(self.model.pools[id_], key)

    @rule(data=st.data())
    def add_target(self, data):
        id_ = self.some(data, "pools")
        if id_ is None:
            return
        key = self.a_target(data)
        self.api.post(f"/v1/target-pools/{id_}/targets", {"targets": [self.reference(key)]}, expect=200)
        self.model.add_target(self.model.pools[id_], key)

    @rule(data=st.data())
    def remove_target(self, data):
        id_ = self.some(data, "pools")
        if id_ is None or not self.model.pools[id_]["targets"]:
            return
        key = data.draw(st.sampled_from(sorted(self.model.pools[id_]["targets"])))
        self.api.delete(f"/v1/target-pools/{id_}/targets/{key}", expect=200)
        self.model.remove_target(self.model.pools[id_], key)

    @rule(data=st.data())
    def delete_pool(self, data):
        id_ = self.some(data, "pools")
        if id_ is None:
            return
        if any(id_ == lb["pool"] for lb in self.model.lbs.values()):
            self.api.refuse("DELETE", f"/v1/target-pools/{id_}", status=409, code="in_use")
            return
        self.api.delete(f"/v1/target-pools/{id_}", expect=204)
        del self.model.pools[id_]

    # -- load balancers --
    @rule(data=st.data(), name=NAMES)
    def create_lb(self, data, name):
        pool = self.some(data, "pools")
        body = {"name": name} if name else {}
        if pool:
            body["listeners"] = [{"protocol": "TCP", "port": 80, "target_pool_id": pool, "target_port": 80}]
        if self.named("lbs", name):
            self.api.refuse("POST", "/v1/load-balancers", body, status=409, code="already_exists", field="name")
            return
        id_ = self.api.load_balancer(**body)["id"]
        self.model.lbs[id_] = {"name": name, "state": None, "due": None, "pool": pool}
        self.model.enter_lb(id_, "provisioning")

    @rule(data=st.data())
    def update_lb(self, data):
        id_ = self.some(data, "lbs")
        if id_ is None:
            return
        self.model.counted += 1
        body = {"source_ranges": [f"10.{self.model.counted >> 8 & 255}.{self.model.counted & 255}.0/24"]}
        if self.model.lbs[id_]["state"] in ("provisioning", "deleting"):
            self.api.refuse("PATCH", f"/v1/load-balancers/{id_}", body, status=409, code="illegal_transition")
            return
        self.api.patch(f"/v1/load-balancers/{id_}", body)
        self.model.enter_lb(id_, "updating")

    @rule(data=st.data())
    def delete_lb(self, data):
        id_ = self.some(data, "lbs")
        if id_ is None:
            return
        self.api.delete(f"/v1/load-balancers/{id_}", expect=202)
        if self.model.lbs[id_]["state"] != "deleting":
            self.model.enter_lb(id_, "deleting")

    # -- routes --
    @rule(data=st.data(), cidr=st.sampled_from(CIDRS))
    def create_route(self, data, cidr):
        hop = self.a_target(data)
        body = {"destination_cidr": cidr, "next_hop": self.reference(hop)}
        if any(route["cidr"] == cidr and route["state"] != "deleting" for route in self.model.routes.values()):
            self.api.refuse("POST", "/v1/routes", body, status=409, code="already_exists", field="destination_cidr")
            return
        id_ = self.api.post("/v1/routes", body, expect=201)["id"]
        self.model.routes[id_] = {"cidr": cidr, "hop": hop, "state": None, "due": None}
        self.model.enter_route(id_, "pending")

    @rule(data=st.data())
    def delete_route(self, data):
        id_ = self.some(data, "routes")
        if id_ is None:
            return
        self.api.delete(f"/v1/routes/{id_}", expect=202)
        if self.model.routes[id_]["state"] != "deleting":
            self.model.enter_route(id_, "deleting")

    # -- time --
    @rule(ms=st.sampled_from([1, 999, 1000, 1500, 10_000, 60_000, 100_000]))
    def advance(self, ms):
        self.api.advance(f"{ms}ms")
        self.model.advance(ms)

    @rule()
    def kill_and_restart(self):
        self.server.kill()
        self.server.start()
        self.api.close()
        self.api = Client(self.server)

    @invariant()
    def the_cloud_looks_like_the_model(self):
        if not hasattr(self, "model"):
            return
        type(self).steps += 1
        for path, kind in (("instances", "instances"), ("load-balancers", "lbs"), ("routes", "routes")):
            listed = {x["id"]: x["state"] for x in self.api.get(f"/v1/{path}")["items"]}
            assert listed == {id_: x["state"] for id_, x in getattr(self.model, kind).items()}, path
        pools = {p["id"]: {t.get("instance_id") or t["address"]: t["health"] for t in p["targets"]}
                 for p in self.api.get("/v1/target-pools")["items"]}
        assert pools == {id_: {key: t["health"] for key, t in p["targets"].items()}
                         for id_, p in self.model.pools.items()}
        addresses = [a["address"] for i in self.api.get("/v1/instances")["items"] if i["state"] != "terminated"
                     for a in i["addresses"]]
        assert len(set(addresses)) == len(addresses)


def test_random_changes_leave_the_cloud_as_the_model_says(full, random_seed):
    Cloud.steps = 0
    run_state_machine_as_test(hypothesis.seed(random_seed)(Cloud), settings=settings(
        # a short run prints what it found as it is: shrinking takes minutes, and the seed replays it with --full
        phases=[hypothesis.Phase.generate] + ([hypothesis.Phase.shrink] if full else []),
        max_examples=300 if full else 12, stateful_step_count=50, deadline=None, database=None, print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck)))
    print(f"{Cloud.steps} steps compared")
    assert Cloud.steps > 100
