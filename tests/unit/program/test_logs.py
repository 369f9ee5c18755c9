"""Logs are one JSON object a line, on standard error, whatever is logged."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from ehr_program.logs import Level, log_as_json


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in ("asyncio", "httpx", "alembic")}
    root.handlers[:] = []
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_holds_level_logger_message_time_and_extras(capsys: pytest.CaptureFixture[str]) -> None:
    log_as_json("INFO")
    logging.getLogger("ehr.test").warning("the %s is slow", "server", extra={"seconds": 1.5})
    (line,) = lines(capsys)
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "ehr.test", "the server is slow")
    assert line["seconds"] == 1.5
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None


def test_a_message_of_many_lines_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_as_json("INFO")
    logging.getLogger("ehr.test").info('first\nsecond {"level": "ERROR"}')
    (line,) = lines(capsys)
    assert line["message"] == 'first\nsecond {"level": "ERROR"}'


def test_an_exception_is_in_the_line_of_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    log_as_json("INFO")
    logging.getLogger("ehr.test").error("it failed", exc_info=RuntimeError("what went wrong"))
    (line,) = lines(capsys)
    assert "RuntimeError: what went wrong" in line["exc_info"]


@pytest.mark.parametrize(("level", "expected"), [("DEBUG", 3), ("INFO", 2), ("WARNING", 1), ("ERROR", 0)])
def test_the_level_decides_what_is_told(capsys: pytest.CaptureFixture[str], level: Level, expected: int) -> None:
    log_as_json(level)
    log = logging.getLogger("ehr.test")
    log.debug("one")
    log.info("two")
    log.warning("three")
    assert len(lines(capsys)) == expected


@pytest.mark.parametrize("name", ["httpx", "alembic", "asyncio"])
def test_libraries_that_tell_whole_urls_are_quiet(capsys: pytest.CaptureFixture[str], name: str) -> None:
    log_as_json("DEBUG")
    logging.getLogger(name).info("GET https://host/?name=Nancy")
    assert lines(capsys) == []


def test_what_was_set_up_before_is_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    logging.basicConfig(stream=sys.stderr, force=True)
    log_as_json("INFO")
    logging.getLogger("ehr.test").info("once")
    assert [line["message"] for line in lines(capsys)] == ["once"]
