"""Hardened logins, tickets and issued codes in memory."""

from collections.abc import Sequence

from gateway.stores import (
    Attempt,
    IssuedCode,
    NewChain,
    NewCode,
    NewSession,
    StoredChain,
    StoredTicket,
)
from protocol.classic.session import State
from protocol.common.codes import CODE_ATTEMPTS

from .records import Chain, Code, Exchange, Handshake, MemoryRecords, Session, drop


class MemoryHandshakes(MemoryRecords):
    """The methods of ``MemoryStore`` for hardened logins, tickets and codes."""

    # --- logging in and resuming ---

    async def add_handshake(
        self,
        session_id: bytes,
        sealed: bytes,
        expires_ms: int,
        user_tag: bytes,
        code_id: bytes = b"",
        device_tag: bytes = b"",
    ) -> None:
        login = Handshake(sealed, expires_ms, user_tag, code_id, device_tag)
        self._handshakes[session_id] = login

    async def claim_attempt(self, session_id: bytes, now_ms: int) -> Attempt | None:
        login = self._handshakes.get(session_id)
        if login is None or now_ms > login.expires_ms or login.attempts >= CODE_ATTEMPTS:
            return None
        code = self._issued(login, now_ms)
        if code is not None:
            code.attempts += 1
        login.attempts += 1
        self._exchanges.pop(session_id, None)
        is_void = code is None and login.code_id != b""
        attempt = Attempt(login.sealed, login.attempts, is_void)
        if login.attempts == CODE_ATTEMPTS:
            login.sealed = b""
        return attempt

    def _issued(self, login: Handshake, now_ms: int) -> Code | None:
        code = self._codes.get(login.user_tag + login.device_tag)
        if code is None or code.code_id != login.code_id or now_ms > code.expires_ms:
            return None
        return code if code.attempts < CODE_ATTEMPTS else None

    async def add_exchange(
        self, session_id: bytes, sealed: bytes, expires_ms: int, attempt: int = 0
    ) -> bool:
        login = self._handshakes.get(session_id)
        if attempt != (login.attempts if login else 0):
            return False
        self._exchanges[session_id] = Exchange(sealed, expires_ms)
        return True

    async def take_exchange(self, session_id: bytes, now_ms: int) -> bytes | None:
        exchange = self._exchanges.pop(session_id, None)
        return exchange.sealed if exchange and now_ms <= exchange.expires_ms else None

    async def open_login(self, new_session: NewSession) -> bool:
        login = self._handshakes.get(new_session.session_id)
        fits = login is not None and login.user_tag == new_session.user_tag
        if login is not None and login.code_id:
            code = self._codes.get(login.user_tag + login.device_tag)
            fits = fits and code is not None and code.code_id == login.code_id
        if fits:
            self._check_caps(new_session.caps, new_session.user_tag)
        self._handshakes.pop(new_session.session_id, None)
        if login is None or not fits:
            return False
        if login.code_id:
            del self._codes[login.user_tag + login.device_tag]
        if new_session.chain_id:
            self._chains[new_session.chain_id] = Chain(
                new_session.chain, new_session.chain_expires_ms, new_session.user_tag
            )
        self._open(new_session)
        return True

    async def open_resumed(self, new_session: NewSession, previous: bytes) -> bool:
        chain = self._chains.get(new_session.chain_id)
        if chain is None or (chain.sealed, chain.user_tag) != (previous, new_session.user_tag):
            return False
        if chain.is_revoked:
            return False
        self._check_caps(new_session.caps, new_session.user_tag, replaced=chain.session_id)
        chain.sealed, chain.expires_ms = new_session.chain, new_session.chain_expires_ms
        self._delete_session(chain.session_id)
        self._open(new_session)
        return True

    def _open(self, new_session: NewSession) -> None:
        self._add_session(
            new_session.session_id,
            Session(
                State.ENROLLED, new_session.sealed, new_session.expires_ms, new_session.user_tag
            ),
        )
        if new_session.chain_id:
            chain = self._chains[new_session.chain_id]
            chain.session_id, chain.seen_ms = new_session.session_id, new_session.seen_ms
            chain.tickets[new_session.ticket_hash] = new_session.ticket
            self._chain_of[new_session.ticket_hash] = new_session.chain_id

    # --- tickets ---

    async def load_ticket(self, ticket_hash: bytes, now_ms: int) -> StoredTicket | None:
        chain = self._chains.get(self._chain_of.get(ticket_hash, b""))
        if chain is None or now_ms > chain.expires_ms:
            return None
        return StoredTicket(chain.tickets[ticket_hash], chain.sealed)

    async def end_chain(self, chain_id: bytes) -> None:
        chain = self._delete_chain(chain_id)
        if chain is None:
            return
        self._delete_session(chain.session_id)
        if chain.seen_ms is not None:
            chain.is_revoked, chain.session_id, chain.tickets = True, b"", {}
            self._chains[chain_id] = chain

    async def see_device(self, chain_id: bytes, seen_ms: int) -> None:
        chain = self._chains.get(chain_id)
        if chain is not None and chain.seen_ms is not None:
            chain.seen_ms = max(chain.seen_ms, seen_ms)

    def _delete_chain(self, chain_id: bytes) -> Chain | None:
        chain = self._chains.pop(chain_id, None)
        for ticket_hash in chain.tickets if chain else ():
            del self._chain_of[ticket_hash]
        return chain

    # --- for operators ---

    async def add_codes(self, codes: Sequence[NewCode]) -> None:
        for new in codes:
            self._codes[new.user_tag + new.device_tag] = Code(
                new.code_id, new.sealed, new.expires_ms, new.user_tag, new.device_tag
            )

    async def find_code(
        self, user_tag: bytes, now_ms: int, device_tag: bytes = b""
    ) -> IssuedCode | None:
        code = self._codes.get(user_tag + device_tag)
        if code is None or now_ms > code.expires_ms or code.attempts >= CODE_ATTEMPTS:
            return None
        return IssuedCode(code.code_id, code.sealed)

    async def end_codes(self, user_tag: bytes, device_tag: bytes | None = None) -> int:
        def ends(code: Code) -> bool:
            return code.user_tag == user_tag and device_tag in (None, code.device_tag)

        return len(drop(self._codes, ends))

    async def add_chain(self, chain: NewChain) -> None:
        self._chains[chain.chain_id] = Chain(
            chain.sealed,
            chain.expires_ms,
            chain.user_tag,
            tickets={chain.ticket_hash: chain.ticket},
            seen_ms=chain.seen_ms,
        )
        self._chain_of[chain.ticket_hash] = chain.chain_id

    async def chains(self, now_ms: int) -> list[StoredChain]:
        return [
            StoredChain(key, chain.sealed, chain.user_tag, chain.seen_ms, chain.is_revoked)
            for key, chain in self._chains.items()
            if now_ms <= chain.expires_ms
        ]

    async def end_user(self, user_tag: bytes) -> int:
        ended = [(key, self._sessions[key].state) for key in self._sessions_of.get(user_tag, ())]
        for key, _ in ended:
            self._delete_session(key)
        for key in drop(self._handshakes, lambda login: login.user_tag == user_tag):
            self._exchanges.pop(key, None)
        for chain_id in [k for k, chain in self._chains.items() if chain.user_tag == user_tag]:
            self._delete_chain(chain_id)
        await self.end_codes(user_tag)
        return sum(state is State.ENROLLED for _, state in ended)
