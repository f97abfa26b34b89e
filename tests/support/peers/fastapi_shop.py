"""A FastAPI application. Swagger UI comes from fastapi-offline, and not from a CDN."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Cookie, Form, HTTPException, Response, UploadFile, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.websockets import WebSocketDisconnect
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel

app = FastAPIOffline(title="The tea shop")


class Order(BaseModel):
    """What somebody orders."""

    item: str
    quantity: int = 1


@app.get("/teas/{name}")
async def tea(name: str, cups: int = 1) -> dict[str, str | int]:
    """One tea."""
    if name == "coffee":
        raise HTTPException(404, "no coffee here")
    return {"name": name, "cups": cups}


@app.post("/orders", status_code=201)
async def order(given: Order) -> Order:
    """Order something."""
    return given


@app.post("/login")
async def login(name: Annotated[str, Form()], response: Response) -> str:
    """Set a cookie."""
    response.set_cookie("name", name, httponly=True)
    return f"hello {name}"


@app.get("/me")
async def me(name: Annotated[str | None, Cookie()] = None) -> str | None:
    """The name in the cookie."""
    return name


@app.post("/pictures")
async def picture(file: UploadFile) -> dict[str, str | None]:
    """Take a file."""
    digest = hashlib.sha256(await file.read()).hexdigest()
    return {"name": file.filename, "sha256": digest}


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    """Send back each message."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return


@app.get("/clock")
async def clock() -> StreamingResponse:
    """Server-Sent Events: a tick each 50 ms."""

    async def ticks() -> AsyncIterator[str]:
        tick = 0
        while True:
            yield f"id: {tick}\ndata: tick {tick}\n\n"
            tick += 1
            await asyncio.sleep(0.05)

    return StreamingResponse(ticks(), media_type="text/event-stream")
