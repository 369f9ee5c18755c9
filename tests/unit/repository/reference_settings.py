"""Prints docs/reference/settings.md: what the code of both programs says about their settings."""

from __future__ import annotations

from ehr_connector.settings import Settings as ConnectorSettings
from ehr_operator.settings import Settings as OperatorSettings
from ehr_program.settings import help_text

COMMAND = ".venv/bin/python tests/unit/repository/reference_settings.py > docs/reference/settings.md"


def settings_page() -> str:
    """Return the page as it is to stand in the repository."""
    return f"""# Settings

Both programs read their settings from the environment and list all problems at once when they start (exit status 2).
Everything about an organisation stands in its resources. This page is generated; after a change of a setting, run

```
{COMMAND}
```

## Operator: `python -m ehr_operator`

```
{help_text(OperatorSettings)}
```

## Connector: `python -m ehr_connector`

```
{help_text(ConnectorSettings)}
```
"""


if __name__ == "__main__":
    print(settings_page(), end="")  # noqa: T201 (the page is the output)
