"""The docker backend against an engine that can be told to fail."""


def calls(engine, method, pattern):
    return engine.count(method, pattern)


# -- adoption -----------------------------------------------------------------------------------------

def test_nobody_is_asked_before_a_cluster_is_adopted(world):
    world.api.instance(name="plain")
    assert world.engine.calls == []


def test_the_nodes_of_an_adopted_cluster_are_instances(three):
    found = three.instances()
    assert [found[n]["zone"] for n in sorted(found)] == ["mock-1a", "mock-1b", "mock-1c"]
    assert found["c1-control-plane"]["container"]["role"] == "control-plane"
    worker = found["c1-worker"]
    assert worker["tags"] == {"mockcloud/cluster": "c1"} and worker["container"]["id"] == three.nodes[1].id
    assert {"type": "internal", "family": "ipv4", "address": three.nodes[1].address} in worker["addresses"]
    assert three.cluster()["subnet_v4"] == "172.18.0.0/16"


def test_two_clusters_do_not_see_each_other(three):
    three.engine.node("c2-worker", cluster="c2")
    three.adopt("c2")
    three.await_names("c1-control-plane", "c1-worker", "c1-worker2", "c2-worker")
    assert three.instance("c2-worker")["tags"] == {"mockcloud/cluster": "c2"}


def test_containers_that_are_no_nodes_are_left_out(world):
    world.engine.node("c1-external-load-balancer", role="external-load-balancer")
    world.engine.node("c1-worker")
    world.adopt()
    world.await_names("c1-worker")


def test_an_awaited_instance_becomes_the_container_of_its_name(world):
    world.adopt()
    made = world.join("c1-worker", provision="adopt")
    node = world.engine.node("c1-worker")
    bound = world.await_state(made["id"], "running")
    assert bound["container"]["id"] == node.id and list(world.instances()) == ["c1-worker"]


# -- from outside ---------------------------------------------------------------------------------------

def test_what_happens_to_a_container_is_told_with_its_reason(three):
    id_ = three.instance("c1-worker")["id"]
    node = three.nodes[1]
    for exit_code, oom, code in ((130, False, "container-stopped"), (137, False, "container-killed"),
                                 (137, True, "out-of-memory")):
        three.engine.set(node, "exited", exit_code, oom)
        assert three.await_state(id_, "stopped")["state_reason"]["code"] == code
        three.engine.set(node, "running")
        assert "state_reason" not in three.await_state(id_, "running")
    three.engine.remove(node)
    assert three.await_state(id_, "terminated")["state_reason"]["code"] == "container-removed"


def test_a_container_made_anew_under_the_same_name_is_another_instance(three):
    old = three.instance("c1-worker")
    three.engine.remove(three.nodes[1], quiet=True)
    three.engine.node("c1-worker")
    three.await_state(old["id"], "terminated")
    three.await_names("c1-control-plane", "c1-worker", "c1-worker2")
    assert three.instance("c1-worker")["id"] != old["id"]


def test_what_no_event_told_is_seen_at_the_next_look(start, connect, engine, eventually):
    from conftest import World
    server = start(args=("--docker-socket", engine.path, "--docker-resync", "100ms"))
    w = World(connect(server), engine, eventually)
    node = engine.node("c1-worker")
    w.adopt()
    id_ = w.await_names("c1-worker")["c1-worker"]["id"]
    engine.set(node, "exited", 1, quiet=True)
    w.await_state(id_, "stopped")


def test_a_stream_that_is_cut_is_opened_again_and_nothing_is_missed(three):
    before = calls(three.engine, "GET", "^/events")
    three.engine.cut()
    three.engine.set(three.nodes[1], "exited", 1, quiet=True)  # nobody listens
    three.await_state(three.instance("c1-worker")["id"], "stopped")
    three.eventually(lambda: calls(three.engine, "GET", "^/events") > before)


# -- what is asked for -----------------------------------------------------------------------------------

def test_stop_start_reboot_and_terminate_act_on_the_container(three):
    id_, node = three.instance("c1-worker")["id"], three.nodes[1]
    three.act(id_, "stop")
    assert three.await_state(id_, "stopped")["state_reason"]["code"] == "user-request" and node.status == "exited"
    three.act(id_, "start")
    three.await_state(id_, "running")
    starts = node.starts
    three.act(id_, "reboot")
    three.await_state(id_, "running")
    assert node.status == "running" and node.starts == starts + 1
    three.act(id_, "terminate")
    three.await_state(id_, "terminated")
    assert node not in three.engine.containers and node.deleted_with == {"v": "1", "force": "1"}


def test_a_control_plane_goes_only_by_force(three):
    id_ = three.instance("c1-control-plane")["id"]
    for action in ("stop", "terminate"):
        three.api.refuse("POST", f"/v1/instances/{id_}/{action}", status=409, code="in_use")
    three.act(id_, "terminate", {"force": True})
    three.await_state(id_, "terminated")


def test_terminate_may_keep_the_container(world):
    node = world.engine.node("c1-worker")
    world.adopt(terminate="stop")
    id_ = world.await_names("c1-worker")["c1-worker"]["id"]
    world.act(id_, "terminate")
    world.await_state(id_, "terminated")
    assert node in world.engine.containers and node.status == "exited"
    world.engine.tell("die", node)
    world.engine.node("c1-worker2")
    world.await_names("c1-worker2")


# -- an engine in trouble ---------------------------------------------------------------------------------

def test_an_engine_that_is_away_changes_nothing_and_the_wish_waits_for_it(three):
    id_ = three.instance("c1-worker")["id"]
    three.engine.stop()
    three.eventually(lambda: three.cluster()["state"] == "unreachable", "the cluster to be unreachable")
    assert three.cluster()["state_reason"]["code"] == "engine-unreachable"
    assert three.instance("c1-worker2")["state"] == "running"
    three.act(id_, "stop")
    reason = three.eventually(lambda: three.api.get(f"/v1/instances/{id_}").get("state_reason", {}).get("code")
                              == "backend-retry")
    assert reason and three.api.get(f"/v1/instances/{id_}")["state"] == "stopping"
    three.engine.restart()
    three.await_state(id_, "stopped")
    three.eventually(lambda: three.cluster()["state"] == "active")


def test_a_wish_survives_a_server_that_is_killed(three):
    id_ = three.instance("c1-worker")["id"]
    three.engine.stop()
    three.act(id_, "stop")
    three.server.kill()
    three.engine.restart()
    again = three.start(args=("--docker-socket", three.engine.path))
    three.api = three.connect(again)
    three.await_state(id_, "stopped")
    assert three.nodes[1].status == "exited"


def test_errors_of_the_engine_are_retried(three):
    id_ = three.instance("c1-worker")["id"]
    with three.engine.lock:
        three.engine.fail = (500, 3)
    three.act(id_, "stop")
    three.await_state(id_, "stopped")
    assert three.nodes[1].status == "exited"


def test_a_slow_engine_is_waited_for(three):
    id_ = three.instance("c1-worker")["id"]
    asked = len(three.engine.calls)
    three.engine.ready.clear()
    three.act(id_, "stop")
    three.eventually(lambda: len(three.engine.calls) > asked)
    assert three.api.get(f"/v1/instances/{id_}")["state"] == "stopping"
    three.engine.ready.set()
    three.await_state(id_, "stopped")


def test_past_the_deadline_it_is_an_error_that_says_why(three):
    id_ = three.instance("c1-worker")["id"]
    three.engine.stop()
    three.act(id_, "stop")
    three.eventually(lambda: "state_reason" in three.api.get(f"/v1/instances/{id_}")
                     and three.api.get(f"/v1/instances/{id_}")["state_reason"]["code"] == "backend-retry")
    three.api.advance("10m")
    failed = three.api.get(f"/v1/instances/{id_}")
    assert failed["state"] == "error" and failed["state_reason"]["code"] == "backend-timeout"
    assert "no container engine answers" in failed["state_reason"]["message"]
    three.engine.restart()  # it runs after all
    three.await_state(id_, "running")


def test_a_socket_that_is_not_there_is_said_in_one_line(start, connect, tmp_path, eventually):
    server = start(args=("--docker-socket", tmp_path / "none.sock"))
    api = connect(server)
    api.post("/sim/v1/clusters", {"name": "c1"}, expect=201)
    eventually(lambda: api.get("/sim/v1/clusters/c1")["state"] == "unreachable")
    assert f"{tmp_path}/none.sock" in api.get("/sim/v1/clusters/c1")["state_reason"]["message"]


# -- joining ------------------------------------------------------------------------------------------------

def test_create_makes_a_node_that_joins_its_cluster(three):
    made = three.join("c1-extra")
    joined = three.await_state(made["id"], "running")
    node = three.engine.find("c1-extra")
    assert node.joined and joined["container"]["id"] == node.id
    configuration = node.files["/kind/kubeadm.conf"]
    for part in (f'"mockcloud://{made["zone"]}/{made["id"]}"', 'token: "abcdef.0123456789abcdef"', node.address,
                 "apiVersion: kubeadm.k8s.io/v1beta4", 'value: "external"', '"c1-control-plane:6443"'):
        assert part in configuration, configuration
    host = node.body["HostConfig"]
    assert host["Privileged"] and host["CgroupnsMode"] == "private" and node.body["Volumes"] == {"/var": {}}
    assert node.labels == {"io.x-k8s.kind.cluster": "c1", "io.x-k8s.kind.role": "worker",
                           "mockcloud.instance": made["id"]}
    assert not [e for e in node.body["Env"] if e.startswith("KUBECONFIG")]
    three.act(made["id"], "terminate")
    three.await_state(made["id"], "terminated")
    assert three.engine.find("c1-extra") is None


def test_a_node_that_joins_gets_the_images_that_were_loaded_by_hand(three):
    for node in three.nodes:
        node.images.add("docker.io/library/mine:1")
    made = three.join("c1-extra")
    three.await_state(made["id"], "running")
    assert three.engine.find("c1-extra").images == {"registry.k8s.io/pause:3", "docker.io/library/mine:1"}
    assert not any(node.archive for node in three.nodes)


def test_a_join_that_fails_is_retried_with_the_same_container(three):
    three.engine.exec_code["kubeadm join"] = 1
    made = three.join("c1-extra")
    three.eventually(lambda: "kubeadm join failed (1)" in
                     three.api.get(f"/v1/instances/{made['id']}").get("state_reason", {}).get("message", ""))
    del three.engine.exec_code["kubeadm join"]
    three.await_state(made["id"], "running")
    assert calls(three.engine, "POST", "/containers/create") >= 2
    assert [c.name for c in three.engine.containers].count("c1-extra") == 1


def test_the_name_of_a_container_that_is_not_ours_is_refused_and_the_container_left_alone(three):
    with three.engine.lock:
        from fake_engine import Container
        other = Container(three.engine, "mine", {}, status="running")
        three.engine.containers.append(other)
    made = three.join("mine")
    failed = three.await_state(made["id"], "error")
    assert failed["state_reason"]["message"] == "there is another container named mine"
    three.act(made["id"], "terminate")
    three.await_state(made["id"], "terminated")
    assert other in three.engine.containers and other.status == "running"


def test_a_missing_image_is_an_error_that_says_so(three):
    for node in three.nodes:
        node.image = "missing"
    made = three.join("c1-extra")
    assert "No such image" in three.await_state(made["id"], "error")["state_reason"]["message"]


def test_bad_requests_name_the_field(three):
    refuse = three.api.refuse
    body = {"name": "n", "backend": "docker", "container": {"cluster": "c1"}}
    refuse("POST", "/v1/instances", {**body, "container": {}}, status=400, code="invalid_argument",
           field="container.cluster")
    refuse("POST", "/v1/instances", {"backend": "docker"}, status=400, code="invalid_argument", field="container.cluster")
    refuse("POST", "/v1/instances", {"container": {"cluster": "c1"}}, status=400, code="invalid_argument",
           field="container")
    refuse("POST", "/v1/instances", {**body, "container": {"cluster": "c1", "role": "control-plane"}}, status=400,
           code="invalid_argument", field="container.role")
    refuse("POST", "/v1/instances", {**body, "addresses": []}, status=400, code="invalid_argument", field="addresses")
    refuse("POST", "/sim/v1/clusters", {"name": "c1"}, status=409, code="already_exists", field="name")


# -- routes --------------------------------------------------------------------------------------------------

def route(world, cidr, name):
    return world.api.post("/v1/routes", {"destination_cidr": cidr,
                                         "next_hop": {"instance_id": world.instance(name)["id"]}}, expect=201)


def test_routes_are_programmed_in_the_other_nodes_and_follow_the_cloud(three):
    plane, one, two = three.nodes
    first = route(three, "10.244.1.0/24", "c1-worker")
    route(three, "10.244.2.0/24", "c1-worker2")
    both = {"10.244.1.0/24": one.address, "10.244.2.0/24": two.address}
    three.eventually(lambda: plane.routes == both, "both routes in the control plane")
    three.eventually(lambda: one.routes == {"10.244.2.0/24": two.address})
    three.act(three.instance("c1-worker2")["id"], "stop")  # a blackhole
    three.eventually(lambda: plane.routes == {"10.244.1.0/24": one.address}, "the blackhole to go")
    three.api.delete(f"/v1/routes/{first['id']}")
    three.eventually(lambda: plane.routes == {})


def test_a_container_that_starts_again_has_its_routes_before_it_is_running(three):
    plane, one, two = three.nodes
    id_ = three.instance("c1-worker")["id"]
    route(three, "10.244.2.0/24", "c1-worker2")
    three.eventually(lambda: one.routes)
    three.engine.set(one, "exited", 137)
    three.await_state(id_, "stopped")
    three.engine.exec_code["ip $f route replace"] = 1
    three.engine.set(one, "running")
    three.eventually(lambda: calls(three.engine, "POST", f"/containers/{one.id}/exec") >= 2)
    assert three.api.get(f"/v1/instances/{id_}")["state"] == "stopped"
    del three.engine.exec_code["ip $f route replace"]
    three.await_state(id_, "running")
    assert one.routes == {"10.244.2.0/24": two.address}


def test_a_cluster_may_keep_its_routes_to_itself(world):
    one, two = world.engine.node("c1-worker"), world.engine.node("c1-worker2")
    world.adopt(routes=False)
    world.await_names("c1-worker", "c1-worker2")
    route(world, "10.244.1.0/24", "c1-worker")
    world.engine.set(two, "exited", 1)
    world.await_state(world.instance("c1-worker2")["id"], "stopped")
    assert two.routes == {} and calls(world.engine, "POST", "/exec$") == 0 and one.routes == {}
