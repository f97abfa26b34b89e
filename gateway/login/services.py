"""What logins and resumptions of every suite use."""

from dataclasses import dataclass

from gateway.checks.second_check import SecondCheck
from gateway.config.settings import Settings
from gateway.events import Events
from gateway.keys.keyring import KeyRing
from gateway.keys.rsa_pool import KeyPool
from gateway.keys.user_tags import UserTags
from gateway.mail.codes import CodeMails
from gateway.policy.rate_limits import Limits
from gateway.stores import Store
from gateway.users.directory import Directory


@dataclass(frozen=True, slots=True)
class LoginServices:
    """The parts of the gateway that a login needs, besides the sessions of its suite."""

    settings: Settings
    store: Store
    keyring: KeyRing
    tags: UserTags
    directory: Directory
    second_check: SecondCheck
    mails: CodeMails
    key_pool: KeyPool
    limits: Limits
    events: Events
