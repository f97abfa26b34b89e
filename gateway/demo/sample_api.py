"""An ordinary aiohttp application, as an example of an API behind a gateway.

It does not import Certless. It trusts the header ``X-Certless-User``, so only the gateway may reach
it; here it listens on loopback.
"""

import hashlib
import json
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import hdrs, web

USER_HEADER = "X-Certless-User"
MAX_USERS = 1000
MAX_ORDERS = 100
MAX_ITEM_CHARS = 200
MAX_QUANTITY = 1000


@dataclass(frozen=True, slots=True)
class Order:
    """One order of one user."""

    id: int
    item: str
    quantity: int


@dataclass(slots=True)
class _Book:
    """One user's orders, by the text of their id."""

    orders: dict[str, Order] = field(default_factory=dict)
    last_id: int = 0


class OrderBooks:
    """The orders of all users, in memory. The user with the oldest activity is removed first."""

    def __init__(self) -> None:
        self._books: OrderedDict[str, _Book] = OrderedDict()

    def of(self, user: str) -> dict[str, Order]:
        """The orders of ``user``, oldest first."""
        return self._book(user).orders

    def add(self, user: str, item: str, quantity: int) -> Order:
        """A new order; ids count from 1 for each user."""
        book = self._book(user)
        book.last_id += 1
        order = Order(book.last_id, item, quantity)
        book.orders[str(order.id)] = order
        return order

    def _book(self, user: str) -> _Book:
        book = self._books.setdefault(user, _Book())
        self._books.move_to_end(user)
        if len(self._books) > MAX_USERS:
            self._books.popitem(last=False)
        return book


BOOKS: web.AppKey[OrderBooks] = web.AppKey("books", OrderBooks)
routes = web.RouteTableDef()


def sample_api() -> web.Application:
    """The application, with no orders yet."""
    app = web.Application()
    app[BOOKS] = OrderBooks()
    app.add_routes(routes)
    return app


@routes.get("/orders")
async def list_orders(request: web.Request) -> web.Response:
    """All orders of the user."""
    orders = request.app[BOOKS].of(_user(request))
    return _json([asdict(order) for order in orders.values()])


@routes.post("/orders")
async def place_order(request: web.Request) -> web.Response:
    """A new order, from ``{"item": text, "quantity": number}``."""
    user = _user(request)
    item, quantity = await _wanted(request)
    books = request.app[BOOKS]
    if len(books.of(user)) >= MAX_ORDERS:
        raise _error(web.HTTPConflict, f"you have {MAX_ORDERS} orders: delete one first")
    order = books.add(user, item, quantity)
    response = _json(asdict(order), 201)
    response.headers[hdrs.LOCATION] = f"/orders/{order.id}"
    return response


@routes.get("/orders/{id}")
async def show_order(request: web.Request) -> web.Response:
    """One order of the user."""
    order = request.app[BOOKS].of(_user(request)).get(request.match_info["id"])
    if order is None:
        raise _error(web.HTTPNotFound, "you have no such order")
    return _json(asdict(order))


@routes.delete("/orders/{id}")
async def delete_order(request: web.Request) -> web.Response:
    """Delete an order: 204."""
    if request.app[BOOKS].of(_user(request)).pop(request.match_info["id"], None) is None:
        raise _error(web.HTTPNotFound, "you have no such order")
    return web.Response(status=204)


@routes.post("/picture")
async def measure_picture(request: web.Request) -> web.Response:
    """Size and SHA-256 of the body. It is hashed while it arrives, so it can have any size."""
    _user(request)
    size, digest = 0, hashlib.sha256()
    async for chunk in request.content.iter_any():
        size += len(chunk)
        digest.update(chunk)
    if not size:
        raise _error(web.HTTPBadRequest, "the picture is empty: send its bytes as the body")
    return _json({"size": size, "sha256": digest.hexdigest()})


def _user(request: web.Request) -> str:
    user = request.headers.get(USER_HEADER, "")
    if not user:
        raise _error(web.HTTPForbidden, "send it through the gateway, which adds the user")
    return user


async def _wanted(request: web.Request) -> tuple[str, int]:
    try:
        wanted = await request.json()
    except (ValueError, LookupError, RecursionError):  # unknown charset, nesting too deep
        raise _error(web.HTTPBadRequest, "the body is not JSON") from None
    item = wanted.get("item") if isinstance(wanted, dict) else None
    if not isinstance(item, str) or not 1 <= len(item) <= MAX_ITEM_CHARS or not item.isprintable():
        text = f"item must be text of 1 to {MAX_ITEM_CHARS} printable characters"
        raise _error(web.HTTPBadRequest, text)
    quantity = wanted.get("quantity")
    if type(quantity) is not int or not 1 <= quantity <= MAX_QUANTITY:  # True is an int as well
        raise _error(web.HTTPBadRequest, f"quantity must be a number from 1 to {MAX_QUANTITY}")
    return item, quantity


def _json(value: Any, status: int = 200) -> web.Response:
    return web.json_response(value, status=status, dumps=_dumps)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _error(kind: type[web.HTTPClientError], text: str) -> web.HTTPException:
    return kind(text=_dumps({"error": text}), content_type="application/json")
