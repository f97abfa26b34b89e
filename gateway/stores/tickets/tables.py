"""The tables of a ticket store. Times are milliseconds since 1970."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

METADATA = MetaData()
VERSION = 1

# One row. Every transaction that writes locks it first, so there is one writer at a time.
FENCE = Table(
    "certless_ticket_fence",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("generation", String(16), nullable=False),
    Column("former", String(16), nullable=False),
    Column("position", BigInteger, nullable=False),
    # The generation of Redis for which this generation was begun.
    Column("redis", String(16), nullable=False),
    # The server that wrote this row, and the transaction of it: see history.py.
    Column("history", String(100), nullable=False),
    Column("written_by", BigInteger, nullable=False),
)

CHAINS = Table(
    "certless_chains",
    METADATA,
    Column("id", LargeBinary, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("user_tag", LargeBinary, nullable=False),
    # NULL if it is not the chain of a device.
    Column("seen_ms", BigInteger),
    Column("is_revoked", Boolean, nullable=False),
    # It was revoked, and its session can still be open.
    Column("awaits_end", Boolean, nullable=False),
    Index("certless_chains_by_user", "user_tag"),
    Index("certless_chains_by_expiry", "expires_ms"),
)

_CHAIN = ForeignKey("certless_chains.id", ondelete="CASCADE")
TICKETS = Table(
    "certless_tickets",
    METADATA,
    Column("hash", LargeBinary, primary_key=True),
    Column("chain_id", LargeBinary, _CHAIN, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("certless_tickets_by_chain", "chain_id"),
)

TAG_KEYS = Table(
    "certless_tag_keys",
    METADATA,
    Column("id", LargeBinary, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
