"""A polling script: every five seconds it lists every room and everybody in it, and corrects who is not as declared."""

import asyncio
import logging
import os

from livekit import api

URL, KEY, SECRET = (os.environ[name] for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"))
INTERVAL = 5


async def look_at(livekit: api.LiveKitAPI, room: str) -> None:
    listing = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
    for participant in listing.participants:
        seen = participant.permission
        if not seen.can_publish:
            continue
        permission = api.ParticipantPermission(
            can_subscribe=seen.can_subscribe, can_publish=False, can_publish_data=seen.can_publish_data
        )
        await livekit.room.update_participant(
            api.UpdateParticipantRequest(room=room, identity=participant.identity, permission=permission)
        )


async def main() -> None:
    clock = asyncio.get_running_loop()
    async with api.LiveKitAPI(URL, KEY, SECRET) as livekit:
        next_look = clock.time()
        while True:
            try:
                listing = await livekit.room.list_rooms(api.ListRoomsRequest())
                looks = [look_at(livekit, room.name) for room in listing.rooms]
                for error in await asyncio.gather(*looks, return_exceptions=True):
                    if error:
                        logging.error("%s", error)
            except Exception as error:
                logging.error("%s", error)
            next_look = max(next_look + INTERVAL, clock.time())
            await asyncio.sleep(next_look - clock.time())


asyncio.run(main())
