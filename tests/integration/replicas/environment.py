"""An environment for tests: answers GET and POST, echoes over WebSockets."""

import os

from aiohttp import WSMsgType, web


async def answer(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade", "").lower() != "websocket":
        body = await request.read()
        return web.Response(body=body or b"[]", content_type="application/json")
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


def main() -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    web.run_app(
        app, host=os.environ["TMPENV_IP"], port=int(os.environ["TMPENV_PORT"]), access_log=None
    )


if __name__ == "__main__":
    main()
