"""Streams in memory, for tests: blocks without their seal, and a driver of plans."""

from dataclasses import dataclass, field
from typing import TypeVar

from protocol.common.primitives import sha256
from vault.core.streams import Extent, Plan, Stream, StreamWriter, leaves, named

Result = TypeVar("Result")


@dataclass
class Plain:
    """Blocks by their ids. ``sealed`` has the data of those that were made since it was cleared."""

    blocks: dict[bytes, bytes] = field(default_factory=dict)
    sealed: list[bytes] = field(default_factory=list)
    loaded: int = 0
    epoch: int = 1

    def seal(self, data: bytes, size: int) -> Extent:
        assert data
        block_id = len(self.blocks).to_bytes(16)
        self.blocks[block_id] = data
        self.sealed.append(data)
        return Extent(block_id, sha256(data), self.epoch, size)

    def run(self, plan: Plan[Result]) -> Result:
        """Give the plan what it asks for. Its result."""
        try:
            wanted = next(plan)
            while True:
                assert wanted, "a plan that asks for nothing"
                self.loaded += len(wanted)
                wanted = plan.send([self.blocks[extent.id] for extent in wanted])
        except StopIteration as end:
            result: Result = end.value
            return result

    def write(self, pieces: list[bytes], writer: StreamWriter | None = None) -> Stream:
        writer = writer or StreamWriter(self.seal)
        for piece in pieces:
            writer.add(piece)
        return writer.finish()

    def read(self, stream: Stream, start: int = 0, end: int | None = None) -> bytes:
        last = stream.size if end is None else end
        parts = self.run(leaves(stream, start, last))
        whole = b"".join(self.blocks[part.extent.id] for part in parts)
        skipped = start - parts[0].at if parts else 0
        return whole[skipped : skipped + last - start]

    def ids(self, stream: Stream) -> list[bytes]:
        """The ids of all blocks, of every level."""
        return [extent.id for extent in self.run(named(stream, 0, stream.size))]
