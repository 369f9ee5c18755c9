"""No time is read while tests are collected: programs may be built for minutes before the first of them runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
_CLOCKS = {"time", "time_ns", "monotonic", "perf_counter", "now", "utcnow", "today"}


def read_at_import(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of clocks that an import makes: those in no function's body."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            children = iter([*node.decorator_list, node.args])
        case ast.Lambda():
            children = iter(())
        case _:
            children = ast.iter_child_nodes(node)
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _CLOCKS:
        yield node
    for child in children:
        yield from read_at_import(child)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("NOW = int(time.time())", 1),
        ("class A:\n    at = datetime.now(UTC)", 1),
        ("@parametrize('at', [time() + 600])\ndef test(at): ...", 1),
        ("def test(at=datetime.now(UTC)): ...", 1),
        ("def test():\n    return datetime.now(UTC)", 0),
        ("clock = lambda: time.time()", 0),
        ("clock = time.time", 0),
    ],
)
def test_a_clock_that_an_import_reads_is_found(text: str, found: int) -> None:
    assert len(list(read_at_import(ast.parse(text)))) == found


def test_no_test_fixes_a_time_when_it_is_collected() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{call.lineno} {ast.unparse(call)}"
        for path in sorted(TESTS.rglob("*.py"))
        for call in read_at_import(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert found == []
