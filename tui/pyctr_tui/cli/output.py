"""Lists for people and for programs: tables, JSON arrays, templates.

Every command that lists builds rows: dictionaries under docker's field names. Their keys are stable; they are what
``--format json`` prints (one array) and what templates name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from pyctr_tui.cli.call import is_terminal
from pyctr_tui.cli.options import Option
from pyctr_tui.cli.text import harmless, harmless_line

Row = Mapping[str, object]

FORMAT = Option("-f, --format", "json, table, or a template such as '{{.ID}}'", "FORMAT")
LIST_FORMAT = Option("--format", "json, table, or a template such as '{{.ID}}'", "FORMAT")

_HEADERS = {
    "ID": "ID", "Names": "NAMES", "CreatedAt": "CREATED AT", "CreatedSince": "CREATED", "CreatedBy": "CREATED BY",
    "RunningFor": "CREATED", "CPUPerc": "CPU %", "CPULimitPerc": "CPU % OF LIMIT", "MemPerc": "MEM %",
    "MemUsage": "MEM USAGE / LIMIT",
    "NetIO": "NET I/O", "BlockIO": "BLOCK I/O", "DiffID": "DIFF ID", "BlobSize": "STORED", "LocalVolumes": "VOLUMES",
    "Driver": "DRIVER", "Name": "NAME", "SharedWith": "SHARED WITH", "TotalCount": "TOTAL",
    "SharedSize": "SHARED SIZE", "UniqueSize": "UNIQUE SIZE", "ChainID": "CHAIN ID",
}  # fmt: skip


def rows(rows: Iterable[Row], format: str, columns: Sequence[str], id_header: str = "ID") -> None:
    """Print rows as ``format`` asks; ``columns`` are the table's by default."""
    if format == "json":
        json_value(list(rows))
    elif format in ("", "table"):
        _table([[_cell(row[column]) for column in columns] for row in rows], _headers(columns, id_header))
    elif format.startswith("table "):
        _template_table(list(rows), format.removeprefix("table ").strip(), id_header)
    else:
        render = _compile(format)
        for row in rows:
            line(render(row))


def json_value(value: object) -> None:
    """Print JSON, ended by a newline."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=True))


def line(text: str) -> None:
    """Print one line of outside text, harmless when it goes to a terminal."""
    print(harmless_line(text) if is_terminal(1) else text)


def lines(texts: Iterable[str]) -> None:
    """Print several."""
    for text in texts:
        line(text)


def _compile(format: str) -> Callable[[object], str]:
    from pyctr_tui.cli.template import compile_template

    return compile_template(format)


def _template_table(rows: list[Row], template: str, id_header: str) -> None:
    """``table {{.ID}}\\t{{.Names}}``: a column for each part between tabs."""
    parts = template.replace("\\t", "\t").split("\t")
    fields = [part.strip("{} .").rpartition(".")[2] for part in parts]
    renders = [_compile(part) for part in parts]
    _table([[render(row) for render in renders] for row in rows], _headers(fields, id_header))


def _headers(columns: Sequence[str], id_header: str) -> list[str]:
    return [id_header if column == "ID" else _HEADERS.get(column, column.upper()) for column in columns]


def _cell(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _table(cells: list[list[str]], headers: list[str]) -> None:
    show = harmless if is_terminal(1) else str
    table = [headers, *([show(cell) for cell in row] for row in cells)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    for row in table:
        sys.stdout.write("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        sys.stdout.write("\n")
