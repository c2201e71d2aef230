"""What somebody does who works with containers all day: a process for `test_chaos`, killed and started again.

Prints a line an action: its name and ``ok``, ``refused`` (an EngineError, which is a sentence) or ``wrong`` with a
traceback on standard error.
"""

from __future__ import annotations

import contextlib
import random
import sys
import traceback
from collections.abc import Callable

from pyctr_engine.engine import Engine
from pyctr_engine.errors import EngineError
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, ExecRequest, HealthCheck, RestartPolicy
from pyctr_engine.paths import Paths

COMMANDS = (
    "true",
    "exit 3",
    "sleep 0.2",
    "sleep 1000",
    "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; sleep 0.3",
    "echo x > /file; sleep 0.5; exit 1",
)
POLICIES = (RestartPolicy(), RestartPolicy("always"), RestartPolicy("on-failure", 2), RestartPolicy("unless-stopped"))


class Worker:
    """One, with a name that its containers begin with; it leaves those of others alone, but for looking at them."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name

    def mine(self) -> str:
        """One of its containers. Raises EngineError when there is none."""
        found = [container.id for container in self.engine.containers() if container.name.startswith(self.name)]
        if not found:
            raise EngineError("there is none yet")
        return random.choice(found)

    def start(self) -> None:
        """A new one."""
        request = ContainerRequest(
            "small",
            command=("sh", "-c", random.choice(COMMANDS)),
            name=f"{self.name}-{random.randrange(10**9)}",
            restart=random.choice(POLICIES),
            health=HealthCheck(("CMD", "true"), interval=0.2) if random.random() < 0.3 else HealthCheck(),
            stop_grace=0.1,
        )
        self.engine.start(self.engine.create(request).id)

    def run(self) -> None:
        """One that goes by itself."""
        _, session = self.engine.run(ContainerRequest("small", command=("true",), auto_remove=True))
        session.wait()
        session.close()

    def exec(self) -> None:
        """A further program."""
        session = self.engine.exec(self.mine(), ExecRequest(("sh", "-c", "echo x; sleep 0.05")))
        session.wait()
        session.close()

    def stop(self) -> None:
        """Stop one."""
        self.engine.stop(self.mine())

    def restart(self) -> None:
        """Stop and start one."""
        self.engine.restart(self.mine())

    def pause(self) -> None:
        """Hold one still for a moment."""
        one = self.mine()
        self.engine.pause(one)
        with contextlib.suppress(EngineError):
            self.engine.unpause(one)

    def commit(self) -> None:
        """Make an image, and let go of it."""
        name = f"{self.name}:1"
        self.engine.commit(self.mine(), CommitRequest(name=name))
        self.engine.remove_image(name, force=True)

    def log(self) -> None:
        """Read one's log."""
        sum(1 for _ in self.engine.logs(self.mine(), tail=500))

    def look(self) -> None:
        """List, and look closer."""
        self.engine.why(random.choice([container.id for container in self.engine.containers()] or ["none"]))
        self.engine.all_stats()

    def remove(self) -> None:
        """Remove one, whatever it does."""
        self.engine.remove(self.mine(), force=True, volumes=True)


def main(state: str, run: str, name: str, seed: str) -> None:
    """Work until somebody ends it."""
    random.seed(int(seed))
    worker = Worker(Engine(Paths(state, run)), name)
    actions: list[Callable[[], None]] = [
        worker.start, worker.start, worker.run, worker.exec, worker.exec, worker.stop, worker.restart, worker.pause,
        worker.commit, worker.log, worker.look, worker.remove, worker.remove,
    ]  # fmt: skip
    while True:
        action = random.choice(actions)
        try:
            action()
            outcome = "ok"
        except EngineError:
            outcome = "refused"
        except Exception:  # noqa: BLE001 - what is no sentence is a fault of ours, and told
            traceback.print_exc()
            outcome = "wrong"
        print(action.__name__, outcome, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:5])
