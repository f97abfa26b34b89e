"""The bodies of the vault's routes: the class of each rule of VAULT.md."""

from typing import Any

from vault.core import exchanges, messages

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
}
