"""Certless in front of an aiohttp application: ``python examples/wrap_app.py``."""

from aiohttp import web

import certless


async def orders(request: web.Request) -> web.Response:
    order = await request.json()
    return web.json_response({"user": request[certless.USER], "ordered": order["item"]})


app = web.Application()
app.router.add_post("/orders", orders)
certless.setup(app, users=certless.AnyAddress(), mail="console:", site="the tea shop")

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8440)
