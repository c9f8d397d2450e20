"""The program: how it starts, what it refuses to start with, how it ends."""

import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from harness.server import Server, StartFailed, run_serve


def one_line(done, *parts):
    """A refused start says one line that names the matter, on stderr, and exits with a code of its own."""
    logged = re.compile(r"\d{4}-\d\d-\d\dT\S+ +(INFO|DEBUG) ")
    lines = [line for line in done.stderr.splitlines() if line.strip() and not logged.match(line)]
    assert done.returncode not in (0, None) and done.returncode > 0, done
    assert done.stdout == ""
    told = lines[-1]
    assert len(lines) <= 2, lines  # a second may say how to get help
    for part in parts:
        assert any(str(part) in line for line in lines), f"{part!r} is not named in {lines}"
    return told


@pytest.fixture
def basic(tmp_path):
    """Starts with flags that are right, but for those given."""
    flags = {"--db": tmp_path / "cloud.db", "--listen": "127.0.0.1:0", "--token-file": tmp_path / "token"}

    def start(*more):
        kept = [x for flag, value in flags.items() if flag not in more for x in (flag, value)]
        return run_serve(*kept, *more)

    return start


@pytest.mark.parametrize("flags,names", [
    (["--colour", "red"], ["--colour"]),
    (["--clock", "sundial"], ["sundial"]),
    (["--clock", "scaled:0"], ["scaled:0"]),
    (["--clock", "scaled:x"], ["scaled:x"]),
    (["--seed", "-1"], ["seed"]),
    (["--seed", "many"], ["seed"]),
    (["--log-format", "xml"], ["--log-format"]),
    (["--durability", "eternal"], ["--durability"]),
    (["--listen", "nowhere"], ["nowhere"]),
    (["--listen", "127.0.0.1:99999"], ["99999"]),
    (["--listen", "0.0.0.0:0"], ["--allowed-host"]),
    (["--metadata-listen", "nowhere"], ["--metadata-listen", "nowhere"]),
    (["--metadata-listen", "0.0.0.0:0"], ["--metadata-listen", "--allowed-host"]),
    (["--imds-tokens", "never"], ["--imds-tokens"]),
    (["--listen", "[::]:0"], ["--allowed-host"]),
    (["--config", "/dev/null/config.json"], ["/dev/null/config.json"]),
    (["--seed-file", "/dev/null/seed.json"], ["/dev/null/seed.json"]),
    (["--token-file", "/dev/null/token"], ["/dev/null/token"]),
    (["--db", "/dev/null/cloud.db"], ["/dev/null/cloud.db"]),
    (["--db", "/"], ["/"]),
    (["--db"], ["--db"]),
    (["stray"], ["stray"]),
])
def test_a_wrong_flag_is_one_line_that_names_it_and_makes_no_database(basic, tmp_path, flags, names):
    one_line(basic(*flags), *names)
    assert not (tmp_path / "cloud.db").exists()


@pytest.mark.parametrize("text,names", [
    ("{", ["config.json"]), ("[]", ["config.json"]), ("", ["config.json"]),
    ('{"colour": 1}', ["config.json", "colour"]),
    ('{"events_kept": "many"}', ["config.json", "events_kept"]),
    ('{"clock": "sundial"}', ["sundial"]),
    ('{"address_pools": {"internal_v4": "banana"}}', ["internal_v4"]),
    ('{"address_pools": {"internal_v4": "fd00::/64"}}', ["internal_v4"]),
    ('{"zones": [{"name": "a"}]}', ["config.json", "zones[0]", "region"]),
    ('{"latencies": {"instance.flying": {"distribution": "fixed", "value": "1s"}}}', ["instance.flying"]),
    ('{"latencies": {"instance.pending": {"distribution": "fixed", "value": "soon"}}}', ["instance.pending"]),
])
def test_a_wrong_config_file_is_one_line_that_names_file_and_field(basic, tmp_path, text, names):
    (tmp_path / "config.json").write_text(text)
    one_line(basic("--config", tmp_path / "config.json"), *names)


@pytest.mark.parametrize("text,names", [
    ("{", ["seed.json"]), ('{"colours": []}', ["seed.json", "colours"]),
    ('{"instances": [{}, {"zone": "nowhere"}]}', ["seed.json", "instances[1]", "zone"]),
    ('{"instances": [{"colour": "red"}]}', ["seed.json", "instances[0]", "colour"]),
    ('{"instances": {}}', ["seed.json", "instances"]),
])
def test_a_wrong_seed_file_is_one_line_and_leaves_no_half_seeded_database(basic, tmp_path, text, names):
    (tmp_path / "seed.json").write_text(text)
    one_line(basic("--seed-file", tmp_path / "seed.json"), *names)
    # Mended, it is applied in full.
    (tmp_path / "seed.json").write_text('{"instances": [{"name": "one"}, {"name": "two"}]}')
    server = Server(tmp_path, args=["--seed-file", tmp_path / "seed.json"], clock="real", seed=1)
    try:
        server.start()
    except StartFailed as failed:
        assert "seed" not in failed.log, failed.log
        raise
    from harness.client import Client
    api = Client(server)
    assert [i["name"] for i in api.get("/v1/instances")["items"]] == ["one", "two"]
    api.close()
    assert server.stop() == 0


def test_a_seed_file_fills_a_new_cloud_and_only_a_new_one(start, connect, tmp_path):
    (tmp_path / "seed.json").write_text(json.dumps({
        "zones": [{"name": "z-1", "region": "z"}],
        "instance_types": [{"name": "tiny", "cpus": 1, "memory_mib": 512}],
        "latencies": {"instance.stopping": {"distribution": "fixed", "value": "5s"}},
        "instances": [{"name": "web", "zone": "z-1", "type": "tiny", "tags": {"a": "b"}}],
        "target_pools": [{"name": "pool", "targets": [{"instance_id": "web"}]}],
        "load_balancers": [{"name": "lb", "listeners": [
            {"protocol": "TCP", "port": 80, "target_pool_id": "pool", "target_port": 8080}]}],
        "routes": [{"destination_cidr": "10.128.0.0/24", "next_hop": {"instance_id": "web"}}],
    }))
    server = start(args=["--seed-file", tmp_path / "seed.json"])
    api = connect(server)
    web, = api.get("/v1/instances")["items"]
    pool, = api.get("/v1/target-pools")["items"]
    lb, = api.get("/v1/load-balancers")["items"]
    route, = api.get("/v1/routes")["items"]
    assert [z["name"] for z in api.get("/v1/zones")["items"]] == ["z-1"]
    assert [t["name"] for t in api.get("/v1/instance-types")["items"]] == ["tiny"]
    assert pool["targets"][0]["instance_id"] == web["id"] == route["next_hop"]["instance_id"]
    assert lb["listeners"][0]["target_pool_id"] == pool["id"]
    assert {e["cause"]["type"] for e in api.events(kind="instance")} == {"seed"}
    api.delete(f"/v1/instances/{web['id']}")
    assert server.stop() == 0
    server.start()
    api = connect(server)
    assert [i["state"] for i in api.get("/v1/instances")["items"]] == ["terminated"]


def test_a_value_is_not_part_of_its_flag(start, connect, tmp_path):
    seed = tmp_path / "my_own=seed.json"
    seed.write_text('{"instances": [{"name": "one"}]}')
    api = connect(start(args=[f"--seed-file={seed}"]))
    assert [i["name"] for i in api.get("/v1/instances")["items"]] == ["one"]


def test_a_config_file_sets_what_flags_do_not(start, connect, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({
        "max_body": 2048, "seed": 99, "duplicate_names": ["instance"],
        "address_pools": {"internal_v4": "10.77.0.0/30"}}))
    server = start(args=["--config", tmp_path / "config.json"])
    api = connect(server)
    api.refuse("POST", "/v1/instances", content=b" " * 2049, headers={"Content-Type": "application/json"},
               status=413, code="too_large")
    first, second = api.instance(name="twin"), api.instance(name="twin")
    assert first["addresses"][0]["address"].startswith("10.77.0.") and first["id"] != second["id"]


def test_an_exhausted_address_pool_is_a_conflict_and_free_again_after_termination(start, connect, tmp_path):
    (tmp_path / "config.json").write_text('{"address_pools": {"internal_v4": "10.77.0.0/30"}}')
    api = connect(start(args=["--config", tmp_path / "config.json"]))
    made = []
    while len(made) < 10:
        response = api.request("POST", "/v1/instances", json={})
        if response.status_code != 201:
            break
        made.append(response.json())
    assert response.status_code == 409 and response.json()["code"] == "exhausted"
    assert 2 <= len(made) <= 4
    api.delete(f"/v1/instances/{made[0]['id']}")
    api.advance("61s")
    assert api.instance()["addresses"][0]["address"] == made[0]["addresses"][0]["address"]


def test_a_port_in_use_is_one_line_that_names_it(basic, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        one_line(basic("--listen", f"127.0.0.1:{port}"), port)
        assert not (tmp_path / "cloud.db").exists()


def test_a_second_server_on_the_same_database_is_refused_by_pid_and_address(server, api, tmp_path):
    done = run_serve("--db", server.db, "--listen", "127.0.0.1:0", "--token-file", tmp_path / "token")
    one_line(done, server.db, server.pid, server.address)
    assert api.get("/v1/instances")["items"] == []


def test_a_killed_server_leaves_nothing_that_keeps_the_next_one_out(server, api, connect):
    made = api.instance()
    server.kill()
    server.start()
    assert connect(server).get(f"/v1/instances/{made['id']}") == made


def test_a_file_that_is_no_database_is_refused_and_kept(basic, tmp_path):
    (tmp_path / "cloud.db").write_bytes(b"my holiday pictures" * 1000)
    one_line(basic(), tmp_path / "cloud.db")
    assert (tmp_path / "cloud.db").read_bytes() == b"my holiday pictures" * 1000


def test_the_database_of_another_program_is_refused_and_kept(basic, tmp_path):
    other = sqlite3.connect(tmp_path / "cloud.db")
    other.execute("CREATE TABLE recipes(name TEXT)")
    other.commit()
    other.close()
    before = (tmp_path / "cloud.db").read_bytes()
    one_line(basic(), tmp_path / "cloud.db")
    assert (tmp_path / "cloud.db").read_bytes() == before


def test_a_newer_schema_is_refused_by_its_number(server, api, basic):
    assert server.stop() == 0
    db = sqlite3.connect(server.db)
    version = db.execute("PRAGMA user_version").fetchone()[0]
    db.execute(f"PRAGMA user_version = {version + 1}")
    db.commit()
    db.close()
    one_line(basic(), server.db, version + 1)
    db = sqlite3.connect(server.db)
    assert db.execute("PRAGMA user_version").fetchone()[0] == version + 1
    db.close()


def test_a_corrupt_database_is_refused_or_its_damage_is_told_by_name(server, api, basic):
    api.post("/v1/instances", {"count": 1000})
    assert server.stop() == 0
    with open(server.db, "r+b") as file:  # the schema page is whole, what follows is not
        size = os.fstat(file.fileno()).st_size
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    one_line(basic(), server.db)


def test_a_truncated_database_is_refused_by_name(server, api, basic):
    api.post("/v1/instances", {"count": 1000})
    assert server.stop() == 0
    os.truncate(server.db, os.path.getsize(server.db) // 2)
    one_line(basic(), server.db)


def as_nobody():
    os.setgid(65534)
    os.setuid(65534)


def test_a_read_only_database_is_refused_by_name(server, api, tmp_path_factory):
    api.instance()
    assert server.stop() == 0
    import shutil
    import tempfile
    with tempfile.TemporaryDirectory(prefix="mockcloud-ro-") as directory:
        os.chmod(directory, 0o755)
        copy = Path(directory) / "cloud.db"
        shutil.copy(server.db, copy)
        copy.chmod(0o444)
        (Path(directory) / "token").write_text("0123456789abcdef0123456789abcdef")
        (Path(directory) / "token").chmod(0o600)
        if os.getuid() == 0:
            os.chown(Path(directory) / "token", 65534, 65534)
        done = run_serve("--db", copy, "--listen", "127.0.0.1:0", "--token-file", Path(directory) / "token",
                         preexec=as_nobody if os.getuid() == 0 else None)
        told = one_line(done)
        assert str(copy) in told
        assert "ermission" in told or "read-only" in told, told


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_token_file_that_others_can_read_is_refused_by_name(basic, tmp_path, mode):
    (tmp_path / "token").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "token").chmod(mode)
    one_line(basic(), tmp_path / "token")


@pytest.mark.parametrize("text", ["", "\n", "two words", "x" * 5000])
def test_a_token_file_without_a_usable_token_is_refused_by_name(basic, tmp_path, text):
    (tmp_path / "token").write_text(text)
    (tmp_path / "token").chmod(0o600)
    one_line(basic(), tmp_path / "token")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly_with_streams_open(start, connect, signum):
    server = start()
    clients = [connect(server) for _ in range(5)]
    streams = [client.stream() for client in clients]
    for stream in streams:
        stream.__enter__()
    clients[0].instance()
    assert all(stream.event() for stream in streams)
    assert server.stop(signum=signum) == 0
    assert all(stream.event() is None for stream in streams)  # ended, not cut off


def test_a_signal_ends_a_server_that_still_catches_up_with_a_long_absence(start, connect):
    server = start(clock="scaled:1000000")
    api = connect(server)
    api.post("/sim/v1/clock/freeze", expect=200)
    api.instance(count=50)
    api.post("/sim/v1/chaos", {"rates": {"terminate": 1000}, "limits": {"max_down": 50}}, expect=201)
    api.post("/sim/v1/clock/resume", expect=200)
    assert server.stop() == 0
    database = sqlite3.connect(server.db)
    database.execute("UPDATE meta SET value = value - 3600 * 1000000000 WHERE key = 'clock.wall_ns'")
    database.commit()
    database.close()
    process = subprocess.Popen(server.command, stderr=subprocess.PIPE, text=True)
    try:
        while "instances.terminate" not in (said := process.stderr.readline()):
            assert said and '"listening"' not in said
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0 and '"shutting down"' in said and '"listening"' not in said
    assert not os.path.exists(server.db + "-wal") and not os.path.exists(server.db + ".lock")
    database = sqlite3.connect(server.db)
    assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    database.close()


def test_what_was_answered_before_a_clean_end_is_there_after_it(start, connect):
    server = start()
    api = connect(server)
    made = api.post("/v1/instances", {"count": 500})["items"]
    assert server.stop() == 0
    assert not os.path.exists(server.db + "-wal"), "the log is not put away"
    server.start()
    assert connect(server).get("/v1/instances")["items"] == made


def test_a_clean_end_waits_for_the_requests_under_way(start, connect):
    """Each change is either answered and kept, or refused: none is answered and lost."""
    server = start(clock="real")
    answered = []

    def write(client):
        try:
            while True:
                response = client.request("POST", "/v1/instances", json={})
                if response.status_code == 201:
                    answered.append(response.json()["id"])
        except Exception:  # the connection ends with the server
            return

    threads = [threading.Thread(target=write, args=(connect(server),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(answered) < 50:
        assert any(t.is_alive() for t in threads)
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    server.start()
    kept = {i["id"] for i in connect(server).all_items("/v1/instances")}
    assert len(answered) >= 50 and set(answered) <= kept


def memory_directory(server):
    """That of this server: others on this machine have some, too."""
    bases = ("/dev/shm", os.environ.get("TMPDIR") or "/tmp")
    made, = [path for base in bases for path in Path(base).glob(f"mockcloud-{server.pid}-*")]
    return made


def test_a_memory_database_is_private_and_gone_after_the_end(start, connect):
    server = start(db=":memory:")
    made = memory_directory(server)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    api = connect(server)
    api.instance()
    assert server.stop() == 0
    assert not made.exists()
    server.start()
    assert connect(server).get("/v1/instances")["items"] == []


def test_the_next_memory_server_removes_what_a_killed_one_left(start):
    server = start(db=":memory:")
    left = memory_directory(server)
    server.kill()
    living = start(db=":memory:")
    assert not left.exists()
    mine = memory_directory(living)
    start(db=":memory:")
    assert mine.exists(), "it removed what a living server uses"
    assert living.running


def test_the_stored_clock_and_seed_go_on_and_others_are_refused(start, connect, basic):
    server = start(clock="manual", seed=7)
    connect(server).advance("1h")
    assert server.stop() == 0
    one_line(basic("--clock", "real"), "clock")
    one_line(basic("--seed", "8"), "seed")
    server.start()
    assert connect(server).get("/sim/v1/clock")["now"] == "2026-01-01T01:00:00.000Z"


def test_the_log_is_one_json_object_per_line_with_each_change(server, api):
    made = api.instance()
    api.post(f"/v1/instances/{made['id']}/stop", expect=202)
    assert server.stop() == 0
    entries = server.log_entries()
    assert all({"time", "level", "msg"} <= entry.keys() for entry in entries)
    changes = [(e["from"], e["to"]) for e in entries if e.get("id") == made["id"]]
    assert changes[-1] == ("running", "stopped") or ("running", "stopping") in changes


def test_the_token_is_never_in_the_log(server, api):
    api.post("/sim/v1/projects", {"name": "team"}, expect=201)
    token = api.post("/sim/v1/projects/team/tokens", {}, expect=201)["token"]
    api.request("GET", "/v1/instances", headers={"Authorization": "Bearer wrong-token-0123456789"})
    kept = server.token
    assert server.stop() == 0
    whole = "\n".join(server.lines)
    assert len(whole) > 100
    for secret in (kept, token, "wrong-token-0123456789"):
        assert secret not in whole


def test_help_and_version_exit_with_zero():
    done = run_serve("--help")
    assert done.returncode == 0 and re.search(r"--db FILE", done.stdout)


def test_a_metadata_port_that_is_taken_is_one_line_and_without_asking_for_it_only_turns_the_service_off(basic, start, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        one_line(basic("--metadata-listen", f"127.0.0.1:{port}"), "--metadata-listen", port)
    server = start(metadata="none", db=tmp_path / "other.db")
    assert server.metadata is None
