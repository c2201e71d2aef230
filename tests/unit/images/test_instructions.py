"""docker's ``--change``."""

from __future__ import annotations

import pytest

from pyctr_engine.errors import InvalidValue
from pyctr_engine.images.instructions import apply
from pyctr_engine.model.oci import ImageConfig

BASE = ImageConfig(env=("PATH=/bin", "A=1"), cmd=("old",), working_dir="/srv", labels={"kept": "yes"})


def test_commands_in_both_forms() -> None:
    assert apply(BASE, ['CMD ["a", "b c"]']).cmd == ("a", "b c")
    assert apply(BASE, ["cmd echo $HOME"]).cmd == ("/bin/sh", "-c", "echo $HOME")
    assert apply(BASE, ['CMD ["a", 1]']).cmd == ("/bin/sh", "-c", '["a", 1]')


def test_an_entrypoint_takes_the_old_command_away_but_not_a_new_one() -> None:
    assert apply(BASE, ['ENTRYPOINT ["e"]']).cmd == ()
    assert apply(BASE, ["CMD x", 'ENTRYPOINT ["e"]']).cmd == ("/bin/sh", "-c", "x")
    assert apply(BASE, ['ENTRYPOINT ["e"]', "CMD x"]).cmd == ("/bin/sh", "-c", "x")


@pytest.mark.parametrize(
    ("change", "env"),
    [
        ("ENV B=2", ("PATH=/bin", "A=1", "B=2")),
        ("ENV A=2", ("PATH=/bin", "A=2")),
        ("ENV B=2 C='x y' D=\"p q\"", ("PATH=/bin", "A=1", "B=2", "C=x y", "D=p q")),
        ("ENV B two words", ("PATH=/bin", "A=1", "B=two words")),
        ("ENV PATH=$PATH:/x", ("PATH=/bin:/x", "A=1")),
        ("ENV B=${A}0 C='$A' D=\\$A E=$NONE.", ("PATH=/bin", "A=1", "B=10", "C=$A", "D=$A", "E=.")),
        ("ENV B=", ("PATH=/bin", "A=1", "B=")),
        ('ENV B=""', ("PATH=/bin", "A=1", "B=")),
    ],
)
def test_environment(change: str, env: tuple[str, ...]) -> None:
    assert apply(BASE, [change]).env == env


def test_the_rest() -> None:
    config = apply(
        BASE,
        [
            "EXPOSE 80 53/udp 90-91",
            "LABEL a=b 'c d'=e",
            "ONBUILD RUN make",
            "STOPSIGNAL SIGQUIT",
            "USER web:web",
            'VOLUME ["/a b"]',
            "VOLUME /c /d",
            "WORKDIR sub/../x",
        ],
    )
    assert config.exposed_ports == ("80/tcp", "53/udp", "90/tcp", "91/tcp")
    assert config.labels == {"kept": "yes", "a": "b", "c d": "e"}
    assert config.on_build == ("RUN make",)
    assert (config.stop_signal, config.user, config.working_dir) == ("SIGQUIT", "web:web", "/srv/x")
    assert config.volumes == ("/a b", "/c", "/d")


@pytest.mark.parametrize(
    "change",
    ["", "RUN x", "FROM a", "CMD", "ENV A", "ENV 'A=b", "ENV A=b C", "EXPOSE x", "EXPOSE 0", "EXPOSE 90-80",
     "EXPOSE 70000", "STOPSIGNAL not-a-signal", "USER a b", "LABEL a"],
)  # fmt: skip
def test_refusals_quote_the_change(change: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        apply(BASE, [change])
    assert repr(change) in refused.value.message


def test_a_health_check_in_dockers_form() -> None:
    config = apply(BASE, ["HEALTHCHECK --interval=1m30s --timeout=500ms --retries=4 CMD curl -f http://x || exit 1"])
    assert config.runtime_json()["Healthcheck"] == {
        "Test": ["CMD-SHELL", "curl -f http://x || exit 1"],
        "Interval": 90 * 10**9,
        "Timeout": 500 * 10**6,
        "Retries": 4,
    }
    assert apply(BASE, ['HEALTHCHECK CMD ["a", "b"]']).runtime_json()["Healthcheck"] == {"Test": ["CMD", "a", "b"]}
    assert apply(BASE, ["HEALTHCHECK NONE"]).runtime_json()["Healthcheck"] == {"Test": ["NONE"]}


def test_the_shell_form_takes_the_shell_there_is() -> None:
    config = apply(BASE, ['SHELL ["/bin/bash", "-c"]', "CMD x y"])
    assert config.cmd == ("/bin/bash", "-c", "x y")
    assert config.runtime_json()["Shell"] == ["/bin/bash", "-c"]


@pytest.mark.parametrize(
    "change",
    [
        "HEALTHCHECK",
        "HEALTHCHECK x",
        "HEALTHCHECK --interval=5 CMD x",
        "HEALTHCHECK --x=1s CMD x",
        "SHELL sh",
        "SHELL []",
    ],
)
def test_nonsense_in_them(change: str) -> None:
    with pytest.raises(InvalidValue, match="change"):
        apply(BASE, [change])
