"""``pull``, ``push``, ``login`` and ``logout``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import NotFound
from pyctr_engine.model.reference import Reference
from pyctr_tui.cli import output, stackref
from pyctr_tui.cli.call import Call, is_terminal, report
from pyctr_tui.cli.options import Grammar, Option, Parsed
from pyctr_tui.cli.progress_rows import ProgressRows

if TYPE_CHECKING:
    from pyctr_engine.model.registry import Pulled

_TRUST = Option("--disable-content-trust", "Does nothing: docker's own signatures are not looked at")
_ALL_TAGS = Option("-a, --all-tags", "Every tag of the repository")
_QUIET = Option("-q, --quiet", "No progress")

_PULL = Grammar(
    "pull",
    "NAME[:TAG|@DIGEST] | STACK.yaml",
    "Fetch an image from its registry, or the images of a stack. `nginx` means docker.io/library/nginx:latest.",
    _ALL_TAGS,
    Option("--platform", "Which of several platforms, e.g. linux/arm64; this machine's otherwise", "PLATFORM"),
    _QUIET,
    _TRUST,
    least=1,
    most=1,
)
_PUSH = Grammar(
    "push",
    "NAME[:TAG]",
    "Send an image to the registry that its name names.",
    _ALL_TAGS,
    Option("--compression-format", "Of layers that are uncompressed here: gzip (the default), zstd, none", "FORMAT"),
    _QUIET,
    _TRUST,
    least=1,
    most=1,
)
_LOGIN = Grammar(
    "login",
    "[REGISTRY]",
    "Log in to a registry, docker.io if none is named. The credentials are tried, then kept where docker keeps them.",
    Option("-u, --username", "User name", "NAME"),
    Option("-p, --password", "Password; others can see it: rather use --password-stdin", "PASSWORD"),
    Option("--password-stdin", "Read the password from standard input"),
    most=1,
)
_LOGOUT = Grammar("logout", "[REGISTRY]", "Forget a registry's credentials, docker.io's if none is named.", most=1)


def pull(call: Call, words: Sequence[str]) -> int:
    """``pull``."""
    parsed = _PULL.parse(words)
    name, quiet = parsed.arguments[0], parsed.flag("quiet")
    if stackref.is_file(name):
        return _pull_stack(call, name, quiet=quiet)
    names = [name]
    if parsed.flag("all-tags"):
        names = _all_tags(call, name)
    elif not quiet and Reference.parse(name).tag == "latest" and not name.endswith(":latest"):
        output.line("Using default tag: latest")
    for each in names:
        with ProgressRows(sys.stdout) as progress:
            done = call.engine.pull(each, parsed.value("platform"), None if quiet else progress)
        _tell_pulled(done, quiet=quiet)
    return 0


def _all_tags(call: Call, name: str) -> list[str]:
    reference = Reference.parse(name)
    if reference.digest or name.endswith(f":{reference.tag}"):
        raise _PULL.error("--all-tags takes a name without a tag", f"usage: pyctr-tui pull -a {reference.name}")
    tags = call.engine.registry_tags(name)
    if not tags:
        raise NotFound(f"{reference.name} has no tags")
    return [f"{reference.name}:{tag}" for tag in tags]


def _tell_pulled(done: Pulled, *, quiet: bool) -> None:
    for warning in done.warnings:
        report(f"warning: {warning}")
    if not quiet:
        familiar = Reference.parse(done.reference).familiar
        output.line(f"Digest: {done.digest}")
        output.line(f"Status: {'Downloaded newer image' if done.newer else 'Image is up to date'} for {familiar}")
    output.line(done.reference)


def _pull_stack(call: Call, path: str, *, quiet: bool) -> int:
    stack = call.engine.load_stack(path)
    with ProgressRows(sys.stdout) as progress:
        call.engine.pull_stack(stack, None if quiet else progress)
    return 0


def push(call: Call, words: Sequence[str]) -> int:
    """``push``."""
    parsed = _PUSH.parse(words)
    reference, quiet = Reference.parse(parsed.arguments[0]), parsed.flag("quiet")
    if not quiet:
        output.line(f"The push refers to repository [{reference.domain}/{reference.path}]")
    for name in _names_to_push(call, parsed, reference):
        with ProgressRows(sys.stdout) as progress:
            compression = parsed.value("compression-format", "gzip")
            done = call.engine.push(name, compression, None if quiet else progress)
        if quiet:
            output.line(done.reference)
        else:
            output.line(f"{Reference.parse(done.reference).tag}: digest: {done.digest} size: {done.size}")
    return 0


def _names_to_push(call: Call, parsed: Parsed, reference: Reference) -> list[str]:
    if not parsed.flag("all-tags"):
        return [parsed.arguments[0]]
    if parsed.arguments[0].endswith(f":{reference.tag}"):
        raise _PUSH.error("--all-tags takes a name without a tag", f"usage: pyctr-tui push -a {reference.name}")
    found = [
        name
        for image in call.engine.images()
        for name in image.names
        if Reference.parse(name).name == reference.name and "@" not in name
    ]
    if not found:
        raise NotFound(f"no image is called {reference.name}", "`pyctr-tui images` lists what there is")
    return sorted(found)


def login(call: Call, words: Sequence[str]) -> int:
    """``login``."""
    parsed = _LOGIN.parse(words)
    server = (parsed.arguments or [""])[0]
    username, password = parsed.value("username"), _given_password(parsed)
    if not username and not password and call.engine.login_name(server):
        call.engine.login(server)
        output.line("Login Succeeded")
        return 0
    if (not username or not password) and not is_terminal(0):
        raise _LOGIN.error(
            "there is no terminal to ask for a password",
            "usage: pyctr-tui login -u NAME --password-stdin REGISTRY < FILE",
        )
    if not username:
        username = input("Username: ").strip()
    if not password:
        import getpass

        password = getpass.getpass("Password: ")
    if not username or not password:
        raise _LOGIN.error("a user name and a password are needed")
    where = call.engine.login(server, username, password)
    output.line("Login Succeeded")
    if where.startswith("/"):
        report(f"the password is kept unencrypted in {where}", "a credential helper (credsStore) keeps it better")
    return 0


def _given_password(parsed: Parsed) -> str:
    if parsed.flag("password-stdin"):
        if "password" in parsed:
            raise _LOGIN.error("--password and --password-stdin exclude each other", "leave one of them out")
        if not parsed.value("username"):
            raise _LOGIN.error("--password-stdin needs --username")
        return sys.stdin.read().rstrip("\r\n")
    if "password" in parsed:
        report("others can see a password on the command line", "--password-stdin reads it from standard input")
    return parsed.value("password")


def logout(call: Call, words: Sequence[str]) -> int:
    """``logout``."""
    parsed = _LOGOUT.parse(words)
    server = (parsed.arguments or [""])[0]
    if call.engine.logout(server):
        output.line(f"Removed the login credentials for {server or 'docker.io'}")
    else:
        output.line(f"Not logged in to {server or 'docker.io'}")
    return 0
