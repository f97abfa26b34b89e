"""Private keys that a server makes for one session: only the client of this session can open them.

Off unless configured. Prefer ``issuing``, where no server ever has the key. Here a child process
makes the key, seals it to the client's key, and ends.
"""

from .errors import ClientKeyChanged as ClientKeyChanged
from .errors import SessionCryptoError as SessionCryptoError
from .errors import SessionEncryptionDisabled as SessionEncryptionDisabled
from .errors import SessionExpired as SessionExpired
from .errors import SessionKeyFailed as SessionKeyFailed
from .manager import SessionCryptoManager as SessionCryptoManager
from .sealing import SealedKey as SealedKey
from .sealing import open_sealed as open_sealed
from .setup import setup as setup
