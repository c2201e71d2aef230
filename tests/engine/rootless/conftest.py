"""One ordinary user for all these tests, and one without ids; each test begins and ends without containers."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.engine.rootless.user import User

_PATIENCE = 30.0
STAYING = {
    "pyctr-house",
    "pyctr-spawner",
    "pyctr-starter",
    "pyctr-recorder",
    "pyctr-monitor",
    "passt.avx2",
    "pasta",
    "slirp4netns",
}
"""What may be there without a container, for a while. A monitor is the spawner's reserve."""


def assert_settled(user: User) -> None:
    """Only what may stay is there, of one house; those of others that a test made leave by themselves."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        names = list(user.processes().values())
        if set(names) <= STAYING and names.count("pyctr-house") <= 1:
            return
        assert time.monotonic() < deadline, names
        time.sleep(0.05)


@pytest.fixture(scope="session")
def shared_user() -> Iterator[User]:
    """A user with ids, and the built-in image."""
    user = User()
    try:
        user("run", "--rm", "--network", "none", "pyctr/base", "true")
        yield user
    finally:
        user.remove()


@pytest.fixture
def user(shared_user: User) -> Iterator[User]:
    """That user; afterwards containers are removed, nothing of them runs, and nothing may be wrong with the store."""
    yield shared_user
    ids = shared_user.out("ps", "-aq").split()
    if ids:
        shared_user("rm", "-f", "-v", *ids)
    assert_settled(shared_user)
    shared_user("system", "check")


@pytest.fixture
def user_without_ids() -> Iterator[User]:
    """One whom no administrator has given any ids."""
    user = User(ids=False)
    try:
        yield user
    finally:
        user.remove()
