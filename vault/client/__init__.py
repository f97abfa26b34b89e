"""The client of the vault: ``Vault`` keeps the account key, and the service never gets it.

::

    async with Client("http://127.0.0.1:8440") as client:
        await client.login("ann@example.org", code=ask)
        vault = Vault(client)
        await vault.unlock(password)
        await vault.save_note("remember the milk")
"""

from vault.core.errors import Alarm as Alarm
from vault.core.errors import Malformed as Malformed
from vault.core.errors import Tampered as Tampered
from vault.core.errors import VaultError as VaultError
from vault.core.errors import WeakKdf as WeakKdf
from vault.core.errors import WrongSecret as WrongSecret

from .errors import VaultLocked as VaultLocked
from .errors import VaultRefused as VaultRefused
from .files import Changed as Changed
from .files import File as File
from .files import Files as Files
from .files import FileVersion as FileVersion
from .files import NoSuchFile as NoSuchFile
from .files import Outdated as Outdated
from .files import Unresolved as Unresolved
from .memory import Memory as Memory
from .parts import TypeBack as TypeBack
from .storage.checking import Checked as Checked
from .storage.folder import FolderInUse as FolderInUse
from .storage.folder import FolderNotReadable as FolderNotReadable
from .storage.indexing import NotHere as NotHere
from .vault import Device as Device
from .vault import Vault as Vault
