// A competent webhook script: Node's own server, LiveKit's own SDK, one client that keeps its connections, and an
// answer before it acts, for LiveKit sends the webhooks of a room one by one.
import { createServer } from "node:http";
import { RoomServiceClient, WebhookReceiver } from "livekit-server-sdk";

const { LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret, PORT: port } = process.env;
const receiver = new WebhookReceiver(key, secret);
const rooms = new RoomServiceClient(url, key, secret);

async function enforce(event) {
  if (event.event !== "participant_joined" || !event.participant.permission.canPublish) return;
  const { canSubscribe, canPublishData } = event.participant.permission;
  const permission = { canSubscribe, canPublish: false, canPublishData };
  await rooms.updateParticipant(event.room.name, event.participant.identity, { permission });
}

const server = createServer(async (request, response) => {
  if (request.method !== "POST") return response.end("ok\n");
  try {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const event = await receiver.receive(Buffer.concat(chunks).toString(), request.headers.authorization);
    response.end();
    await enforce(event);
  } catch (error) {
    console.error(error.message);
    if (!response.headersSent) response.writeHead(401).end();
  }
});
server.keepAliveTimeout = 120_000;
server.listen(Number(port), "127.0.0.1");
