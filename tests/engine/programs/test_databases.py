"""PostgreSQL and redis: what they were told is there after a restart, on volumes and on the host's directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.model.spec import Mount
from pyctr_engine.model.status import Container
from tests.engine.programs.conftest import House, until

pytestmark = pytest.mark.root

DATA = "/var/lib/postgresql"
# What the usual images do at their start: own the directory, become the user, make a cluster, run the server.
START = f"""
export PGDATA={DATA}/data PATH=$PATH:/usr/lib/postgresql/15/bin
if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -g postgres {DATA} /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups sh -ec "$0"
fi
[ -e $PGDATA/PG_VERSION ] || initdb --no-sync --locale=C.UTF-8 --auth=peer
exec postgres
"""


def query(house: House, server: Container, sql: str) -> str:
    outcome = house.exec(server, "psql", "-XAt", "-v", "ON_ERROR_STOP=1", "-c", sql, user="postgres")
    assert outcome.code == 0, outcome
    return outcome.out.strip()


def ready(house: House, server: Container) -> None:
    def answers() -> bool:
        return house.exec(server, "pg_isready", "-q", user="postgres").code == 0

    assert until(answers), house.log(server)


def keeps_its_rows(house: House, mount: Mount) -> Container:
    server = house.start("sh", "-ec", START, START, mounts=(mount,), stop_signal="SIGINT")
    ready(house, server)
    query(house, server, "CREATE TABLE fruit (name text, count int)")
    query(house, server, "INSERT INTO fruit SELECT 'apple ' || n, n FROM generate_series(1, 10000) n")
    house.engine.stop(server.id)
    assert house.engine.container(server.id).status.exit_code == 0, house.log(server)
    assert house.logged(server, "received fast shutdown request")

    house.engine.start(server.id)
    ready(house, server)
    assert query(house, server, "SELECT count(*), sum(count) FROM fruit") == "10000|50005000"
    assert not house.logged(server, "was not properly shut down"), house.log(server)
    return server


def test_postgresql_on_a_named_volume(house: House) -> None:
    server = keeps_its_rows(house, Mount("volume", "rows", DATA))
    house.engine.remove(server.id, force=True)
    other = house.start("sh", "-ec", START, START, mounts=(Mount("volume", "rows", DATA),), stop_signal="SIGINT")
    ready(house, other)
    assert query(house, other, "SELECT count(*) FROM fruit") == "10000", "after SIGKILL, in another container"


def test_postgresql_on_a_directory_of_the_host(house: House, host_directory: Path) -> None:
    server = keeps_its_rows(house, Mount("bind", str(host_directory), DATA))
    uid, gid = (int(number) for number in house.shell(server, "id -u postgres; id -g postgres").split())
    for path in (host_directory, host_directory / "data", host_directory / "data" / "PG_VERSION"):
        assert (path.stat().st_uid, path.stat().st_gid) == (uid, gid), "on disk the owner is the image's postgres"


def test_postgresql_runs_queries_in_parallel_over_shared_memory(house: House) -> None:
    server = house.start("sh", "-ec", START, START, mounts=(Mount("tmpfs", "", DATA),), stop_signal="SIGINT")
    ready(house, server)
    query(house, server, "CREATE TABLE t AS SELECT n FROM generate_series(1, 200000) n")
    query(house, server, "ALTER TABLE t SET (parallel_workers = 2)")
    settings = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
    plan = query(house, server, settings + "EXPLAIN ANALYZE SELECT sum(n) FROM t")
    assert "Workers Launched: 2" in plan, plan


REDIS = ("redis-server", "--dir", "/var/lib/redis", "--unixsocket", "/tmp/redis.sock", "--save", "3600", "1")


def test_redis_answers_and_remembers(house: House) -> None:
    server = house.start(*REDIS, user="redis", mounts=(Mount("volume", "memory", "/var/lib/redis"),))
    by_socket = ("redis-cli", "-s", "/tmp/redis.sock")
    assert until(lambda: house.exec(server, *by_socket, "PING").out == "PONG\n"), house.log(server)
    assert house.exec(server, *by_socket, "SET", "colour", "red").out == "OK\n"
    assert house.exec(server, "redis-cli", "GET", "colour").out == "red\n"

    house.engine.stop(server.id)
    assert house.engine.container(server.id).status.exit_code == 0, house.log(server)
    house.engine.start(server.id)
    assert until(lambda: house.exec(server, "redis-cli", "PING").out == "PONG\n"), house.log(server)
    assert house.exec(server, "redis-cli", "GET", "colour").out == "red\n"
    assert house.shell(server, "stat -c %U /var/lib/redis/dump.rdb") == "redis"
