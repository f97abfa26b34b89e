"""Real sites through ``connect``, unchanged: a login in PHP, and Django's admin."""

import hashlib
import os
import re
from pathlib import Path

import aiohttp
import pytest
from connected import PAGE, Connected, connected, files_of
from peers import servers
from peers.servers import PASSWORD
from yarl import URL

pytestmark = pytest.mark.timeout(120)
PICTURE = os.urandom(300_000)


class Visitor:
    """As a person with a browser: follows redirects, fills in forms."""

    def __init__(self, at: Connected) -> None:
        self._at = at

    async def get(self, path: str) -> str:
        answer = await self._at.browser.get(self._at.own + path, headers=PAGE)
        assert answer.status == 200, (path, answer.status, await answer.text())
        return await answer.text()

    async def send(self, path: str, fields: dict[str, str], **files: tuple[str, bytes]) -> str:
        """Send a form of the page at ``path`` to the same address."""
        return await self.submit(path, path, fields, **files)

    async def submit(
        self, page: str, action: str, fields: dict[str, str], **files: tuple[str, bytes]
    ) -> str:
        text = await self.get(page)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', text)
        form = aiohttp.FormData({**fields, **({"csrfmiddlewaretoken": token[1]} if token else {})})
        for name, (file, content) in files.items():
            form.add_field(name, content, filename=file, content_type="image/png")
        headers = {**PAGE, "Origin": self._at.own, "Referer": self._at.own + page}
        answer = await self._at.browser.post(self._at.own + action, data=form, headers=headers)
        assert answer.status == 200, (action, answer.status, await answer.text())
        assert answer.url.origin() == URL(self._at.own)
        return await answer.text()


async def test_a_login_in_php(tmp_path: Path) -> None:
    async with servers.php(tmp_path) as upstream, connected(tmp_path, upstream) as at:
        visitor = Visitor(at)
        assert "Log in" in await visitor.get("/")
        assert "Hello ann" in await visitor.submit("/", "/login", {"name": "ann"})
        assert "Hello ann" in await visitor.get("/")
        page = await visitor.submit("/", "/upload", {}, file=("tea.png", PICTURE))
        assert f"tea.png {hashlib.sha1(PICTURE).hexdigest()}" in page  # noqa: S324
        names = {cookie.key for cookie in at.browser.cookie_jar}
        assert "seen" in names
        assert "PHPSESSID" not in names
        assert "Log in" in await visitor.submit("/", "/logout", {})


async def test_the_admin_of_django(tmp_path: Path) -> None:
    async with servers.django(tmp_path) as upstream, connected(tmp_path, upstream) as at:
        visitor = Visitor(at)
        entered = await visitor.send(
            "/admin/login/?next=/admin/", {"username": "root", "password": PASSWORD}
        )
        assert "Site administration" in entered
        assert "--primary" in await visitor.get("/static/admin/css/base.css")
        added = await visitor.send(
            "/admin/django_shop/item/add/", {"name": "Earl Grey"}, picture=("tea.png", PICTURE)
        )
        assert "was added successfully" in added
        [stored] = [path for path in files_of(tmp_path) if path.suffix == ".png"]
        assert stored.read_bytes() == PICTURE
        names = {cookie.key for cookie in at.browser.cookie_jar}
        assert "csrftoken" in names
        assert "sessionid" not in names
        assert "Logged out" in await visitor.submit("/admin/", "/admin/logout/", {})
        assert "Log in" in await visitor.get("/admin/")
