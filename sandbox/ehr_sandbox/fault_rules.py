"""The rules of `faults`: which requests a fault befalls, and what it does to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class FaultRule(BaseModel):
    """One fault: which requests it befalls, and what happens to them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Literal["delay", "status", "cut", "lose_answer", "half_answer"] = Field(
        description=(
            "delay: handled after `delay_s`. status: answered with `status`, not handled. cut: the connection is closed"
            " and nothing is handled. lose_answer: handled, then the connection is closed without an answer."
            " half_answer: handled, then closed after half of the body."
        )
    )
    method: str | None = Field(default=None, description="HTTP method; any when it is left out.")
    path: str = Field(default="", description="Regular expression, searched in the decoded path without the query.")
    nth: int = Field(default=1, ge=1, description="The first matching request that it befalls, counted from 1.")
    count: int | None = Field(default=1, ge=1, description="How many in a row it befalls; null for all that follow.")
    delay_s: float = Field(default=0.0, ge=0, description="Seconds to wait first; goes with every action.")
    status: int | None = Field(default=None, ge=400, le=599, description="For `status`: the HTTP status.")
    retry_after_s: int | None = Field(default=None, ge=0, description="For `status`: the Retry-After header, seconds.")

    @field_validator("path")
    @classmethod
    def _path_is_a_pattern(cls, path: str) -> str:
        try:
            re.compile(path)
        except re.error as exc:
            raise ValueError(f"must be a regular expression: {exc}") from exc
        return path

    @model_validator(mode="after")
    def _parts_fit_the_action(self) -> FaultRule:
        if (self.action == "status") != (self.status is not None):
            raise ValueError("`status` must be given with action 'status', and only with it")
        if self.retry_after_s is not None and self.action != "status":
            raise ValueError("`retry_after_s` may only be given with action 'status'")
        if self.action == "delay" and not self.delay_s:
            raise ValueError("`delay_s` must be above 0 with action 'delay'")
        return self

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request is one of those that this rule counts."""
        return (self.method is None or self.method.upper() == method) and re.search(self.path, path) is not None


@dataclass(slots=True)
class ActiveRule:
    """A rule and how often it was met."""

    rule: FaultRule
    matched: int = 0
    fired: int = 0

    def fires(self, method: str, path: str) -> bool:
        """Count a request, and tell whether the rule befalls it."""
        if not self.rule.matches(method, path):
            return False
        self.matched += 1
        since = self.matched - self.rule.nth
        return since >= 0 and (self.rule.count is None or since < self.rule.count)
