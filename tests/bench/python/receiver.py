"""A competent webhook script: aiohttp, LiveKit's own SDK, one client that keeps its connections, and an answer before
it acts, for LiveKit sends the webhooks of a room one by one."""

import asyncio
import logging
import os

from aiohttp import web
from livekit import api

URL, KEY, SECRET = (os.environ[name] for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"))
RECEIVER = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
TASKS: set[asyncio.Task] = set()


async def enforce(livekit: api.LiveKitAPI, event: api.WebhookEvent) -> None:
    seen = event.participant.permission
    if event.event != "participant_joined" or not seen.can_publish:
        return
    permission = api.ParticipantPermission(
        can_subscribe=seen.can_subscribe, can_publish=False, can_publish_data=seen.can_publish_data
    )
    await livekit.room.update_participant(
        api.UpdateParticipantRequest(
            room=event.room.name, identity=event.participant.identity, permission=permission
        )
    )


def ended(task: asyncio.Task) -> None:
    TASKS.discard(task)
    if task.exception():
        logging.error("%s", task.exception())


async def receive(request: web.Request) -> web.Response:
    try:
        event = RECEIVER.receive(await request.text(), request.headers.get("Authorization", ""))
    except Exception as error:
        logging.error("%s", error)
        return web.Response(status=401)
    task = asyncio.create_task(enforce(request.app["livekit"], event))
    TASKS.add(task)
    task.add_done_callback(ended)
    return web.Response()


async def ready(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def connect(app: web.Application):
    app["livekit"] = api.LiveKitAPI(URL, KEY, SECRET)
    yield
    await app["livekit"].aclose()


app = web.Application()
app.cleanup_ctx.append(connect)
app.add_routes([web.get("/", ready), web.post("/", receive)])
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=None, keepalive_timeout=120)
