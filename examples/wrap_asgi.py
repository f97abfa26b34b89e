"""Certless in front of a FastAPI application: ``python examples/wrap_asgi.py``."""

from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel

import certless
from certless import asgi


class Order(BaseModel):
    item: str


def user(request: Request) -> str:
    return asgi.user(request)


app = FastAPI()


@app.post("/orders")
async def orders(order: Order, user: Annotated[str, Depends(user)]) -> dict[str, str]:
    return {"user": user, "ordered": order.item}


app.add_middleware(asgi.Certless, users=certless.AnyAddress(), mail="console:", site="the tea shop")

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=8440)
