"""Whose a token endpoint is; and claims of base URLs in the form that all ways to write an address have in common."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ehr_connector.store.organizations import claimed_as

revision = "0012"
down_revision: str | None = "0011"
branch_labels: str | None = None
depends_on: str | None = None

_CLAIMS = sa.table("base_url_claim", sa.column("base_url", sa.String))


def upgrade() -> None:
    """Rewrite the claims, but for one that another organisation has in that form already; create the table."""
    connection = op.get_bind()
    standing = set(connection.execute(sa.select(_CLAIMS.c.base_url)).scalars())
    for url in sorted(standing):
        form = claimed_as(url)
        if form not in standing:
            standing.add(form)
            connection.execute(sa.update(_CLAIMS).where(_CLAIMS.c.base_url == url).values(base_url=form))
    op.create_table(
        "token_endpoint_claim",
        sa.Column("token_endpoint", sa.String(71), nullable=False),
        sa.Column("base_url", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("token_endpoint", name="pk_token_endpoint_claim"),
        sa.ForeignKeyConstraint(
            ["base_url"],
            ["base_url_claim.base_url"],
            name="fk_token_endpoint_claim_base_url_claim",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_token_endpoint_claim_base_url", "token_endpoint_claim", ["base_url"])


def downgrade() -> None:
    """Remove the table; it fills again by itself."""
    op.drop_table("token_endpoint_claim")
