"""What settings of any program have in common."""

from __future__ import annotations

import pytest
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ehr_program.settings import CommaSeparated, SettingsError, help_text, load


class Example(BaseSettings):
    """Settings of a made-up program."""

    model_config = SettingsConfigDict(env_prefix="MADE_UP_", extra="ignore")

    name: str = Field(description="Its name.")
    ports: CommaSeparated[int] = Field(default=(), description="Its ports.")
    even: int = Field(default=2, description="An even number.")

    @field_validator("even")
    @classmethod
    def _is_even(cls, even: int) -> int:
        if even % 2:
            raise ValueError("must be even")
        return even


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADE_UP_NAME", "x")
    monkeypatch.setenv("MADE_UP_PORTS", "1, 2,,3 ")
    assert load(Example).ports == (1, 2, 3)


def test_every_problem_has_its_variable_its_place_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADE_UP_PORTS", "1,s3cret")
    monkeypatch.setenv("MADE_UP_EVEN", "77")
    with pytest.raises(SettingsError) as caught:
        load(Example)
    title, *problems = str(caught.value).splitlines()
    assert title == "The settings are not complete:"
    assert [problem.split(":")[0].strip() for problem in problems] == ["MADE_UP_EVEN", "MADE_UP_NAME", "MADE_UP_PORTS"]
    assert "must be even" in problems[0]
    assert "is required" in problems[1]
    assert "item 1:" in problems[2]
    assert "s3cret" not in str(caught.value)
    assert "77" not in str(caught.value)


def test_an_empty_list_of_values_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADE_UP_NAME", "x")
    monkeypatch.setenv("MADE_UP_PORTS", "")
    assert load(Example).ports == ()


def test_help_names_variable_meaning_and_default() -> None:
    assert help_text(Example).splitlines() == [
        "  MADE_UP_NAME",
        "      Its name. (required)",
        "  MADE_UP_PORTS",
        "      Its ports. (default: none)",
        "  MADE_UP_EVEN",
        "      An even number. (default: 2)",
    ]
