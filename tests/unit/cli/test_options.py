"""Docker's rules for options."""

from __future__ import annotations

import pytest

from pyctr_tui.cli.options import Grammar, HelpRequested, Option, Parsed, UsageError

OPTIONS = (
    Option("-i, --interactive", "stdin"),
    Option("-t, --tty", "terminal"),
    Option("-e, --env", "variable", "K=V", many=True),
    Option("-p, --publish", "port", "PORT", many=True),
    Option("--name", "name", "NAME"),
    Option("--rm", "remove"),
)
RUN = Grammar("run", "IMAGE [CMD…]", "Run.", *OPTIONS, least=1, most=None, interspersed=False)
LIST = Grammar("list", "[NAME]", "List.", *OPTIONS, most=1)


def parse(line: str) -> Parsed:
    return RUN.parse(line.split())


def test_short_flags_may_be_joined() -> None:
    parsed = parse("-it img")
    assert parsed.flag("interactive")
    assert parsed.flag("tty")


def test_the_last_of_joined_letters_may_take_a_value() -> None:
    parsed = parse("-itp 80:80 img")
    assert parsed.flag("tty")
    assert parsed.values("publish") == ["80:80"]


@pytest.mark.parametrize("line", ["-e A=b img", "-eA=b img", "-e=A=b img", "--env A=b img", "--env=A=b img"])
def test_every_way_to_give_a_value(line: str) -> None:
    assert parse(line).values("env") == ["A=b"]


def test_options_after_the_image_belong_to_the_command() -> None:
    parsed = parse("--rm img cmd -x --name y -- z")
    assert parsed.arguments == ["img", "cmd", "-x", "--name", "y", "--", "z"]
    assert "name" not in parsed


def test_two_dashes_end_the_options() -> None:
    assert RUN.parse(["--", "--rm"]).arguments == ["--rm"]


def test_options_may_follow_arguments_elsewhere() -> None:
    parsed = LIST.parse(["x", "--name", "y"])
    assert parsed.arguments == ["x"]
    assert parsed.value("name") == "y"


def test_a_dash_is_an_argument() -> None:
    assert LIST.parse(["-"]).arguments == ["-"]


@pytest.mark.parametrize(
    ("word", "value"), [("--rm", True), ("--rm=true", True), ("--rm=false", False), ("-t=0", False)]
)
def test_flags_take_truth_values(word: str, value: bool) -> None:
    assert RUN.parse([word, "img"]).flag("tty" if word.startswith("-t") else "rm", default=not value) is value


def test_the_last_value_wins_where_there_can_be_one() -> None:
    assert parse("--name a --name b img").value("name") == "b"


def test_a_value_may_begin_with_a_dash() -> None:
    assert parse("--name -x img").value("name") == "-x"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nope", "img"], "run has no option --nope"),
        (["-ix", "img"], "run has no option -x in -ix"),
        (["--name"], "--name needs a value"),
        (["--rm=maybe", "img"], "--rm is a flag: 'maybe' is neither true nor false"),
    ],
)
def test_wrong_options_are_docker_s_125(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        RUN.parse(words)
    assert str(raised.value) == message
    assert raised.value.exit_code == 125
    assert raised.value.hint


def test_the_nearest_option_is_named() -> None:
    with pytest.raises(UsageError) as raised:
        RUN.parse(["--nmae", "x", "img"])
    assert "did you mean --name?" in raised.value.hint


@pytest.mark.parametrize(
    ("grammar", "words", "message"),
    [
        (RUN, [], "run needs at least 1 argument"),
        (LIST, ["a", "b"], "list takes at most 1 argument"),
        (Grammar("x", "", "X."), ["a"], "x takes no arguments"),
        (Grammar("x", "A B", "X.", least=2, most=2), ["a"], "x needs 2 arguments"),
    ],
)
def test_wrong_counts_are_docker_s_1(grammar: Grammar, words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        grammar.parse(words)
    assert str(raised.value) == message
    assert raised.value.exit_code == 1


def test_help_names_every_option() -> None:
    with pytest.raises(HelpRequested) as raised:
        RUN.parse(["--help"])
    for option in OPTIONS:
        assert option.names in str(raised.value)


def test_a_command_s_own_h_is_not_help() -> None:
    grammar = Grammar("run", "", "Run.", Option("-h, --hostname", "name", "NAME"))
    assert grammar.parse(["-h", "box"]).value("hostname") == "box"
