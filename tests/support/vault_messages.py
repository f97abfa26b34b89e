"""The bodies of the vault's routes: the class of each rule of VAULT.md."""

from typing import Any

from vector_files import Json

from vault.core import block_exchanges, exchanges, messages

MESSAGES: dict[str, Any] = {
    "Account": messages.AccountState,
    "CommitChange": messages.CommitChange,
    "CreateAccount": messages.CreateAccount,
    "Opened": messages.Opened,
    "StageChange": messages.StageChange,
    "BeginRun": exchanges.BeginRun,
    "ConfirmRun": exchanges.ConfirmRun,
    "DeleteDevice": exchanges.DeleteDevice,
    "DeviceProof": exchanges.DeviceProof,
    "Parameters": exchanges.Parameters,
    "Proof": exchanges.Proof,
    "PutDevice": exchanges.PutDevice,
    "PutNote": exchanges.PutNote,
    "PutTemporary": exchanges.PutTemporary,
    "ResetWait": exchanges.ResetWait,
    "Revision": exchanges.Revision,
    "Run": exchanges.Run,
    "Staged": exchanges.Staged,
    "StoredNote": exchanges.StoredNote,
    "VaultError": exchanges.ErrorBody,
    "StoredMeta": block_exchanges.StoredMeta,
    "PutMeta": block_exchanges.PutMeta,
    "BlockParameters": block_exchanges.BlockParameters,
    "Reserve": block_exchanges.Reserve,
    "Reserved": block_exchanges.Reserved,
    "PutBlocks": block_exchanges.PutBlocks,
    "Receipts": block_exchanges.Receipts,
    "GetBlocks": block_exchanges.GetBlocks,
    "FoundBlocks": block_exchanges.FoundBlocks,
    "RenewBlocks": block_exchanges.RenewBlocks,
    "RenewedBlocks": block_exchanges.RenewedBlocks,
    "RetireBlocks": block_exchanges.RetireBlocks,
    "CheckBlocks": block_exchanges.CheckBlocks,
    "CheckedBlocks": block_exchanges.CheckedBlocks,
}


def body_of(given: Json) -> bytes:
    """The body of a vector: its bytes, or parts that come several times."""
    if "hex" in given:
        return bytes.fromhex(given["hex"])
    return joined(given["parts"])


def joined(parts: list[Json]) -> bytes:
    return b"".join(bytes.fromhex(part["hex"]) * part["times"] for part in parts)
