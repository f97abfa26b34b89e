"""The vault: data that a server stores and cannot read (spec/VAULT.md)."""
