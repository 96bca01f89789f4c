"""A parrot: says what the caller said, once they have finished. Patchbay's agent protocol, version 1."""
import asyncio, json, math, os, struct, sys
from websockets.asyncio.server import serve

HELLO = b"".join(struct.pack("<h", int(9000 * math.sin(i * (0.2 if i < 3200 else 0.3)))) for i in range(6400))

async def converse(socket):
    heard, tools, listening = bytearray(), [], False

    async def send(type, **fields):
        await socket.send(json.dumps({"type": type, **fields}))

    async def say(sound, words):  # all at once: Patchbay plays it in real time, and takes it back when it is cut
        await send("text", text=words)
        await socket.send(bytes(sound))
        await send("turnEnded")

    async for message in socket:
        if isinstance(message, bytes):
            heard += message if listening else b""
            continue
        match (message := json.loads(message))["type"]:
            case "start":
                tools = [tool["name"] for tool in message["tools"]]
                await send("ready", audio={"form": "binary", "input": "pcm16_16000", "output": "pcm16_16000"})
                if not message["history"] or message.get("answerAwaited"):
                    await say(HELLO, "Hello!")
            case "turnStarted" | "speechStarted":
                heard, listening = bytearray(), True
            case "turnEnded" | "speechStopped":
                listening = False
                if "lookup" in tools:  # once a call, for the sake of the example
                    tools.remove("lookup")
                    await send("toolCall", id="call_1", name="lookup", arguments={"word": "parrot"})
                else:
                    await say(heard, "You said that.")
            case "toolResult":
                await say(heard, message["output"][:500])
            case "ping":
                await send("pong", id=message["id"])

def admit(socket, request):
    token = os.environ.get("AGENT_TOKEN")
    if token and request.headers.get("Authorization") != f"Bearer {token}":
        return socket.respond(401, "wrong token\n")

async def main(port=8765):
    async with serve(converse, "127.0.0.1", port, process_request=admit, compression=None) as server:
        print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.wait_closed()

if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:2])))
