import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { parseArgs } from "node:util";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Supervisor, type WatchResponse, WatchResponseSchema } from "../src/gen/switchboard/v1/live_pb";
import { at, FakeCentre } from "./fake-centre";
import { serveBuiltPage } from "./serve-built-page";

// A FAKE for development: the streamer's protocol with random figures, and the built page beside it.
// POST /fake/MODE changes what it does: live, stalled (messages, but no new data), hushed (no messages),
// broken (streams end at once), expired (UNAUTHENTICATED).

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "8790" },
    agents: { type: "string", default: "300" },
    // Every so often, so many agents change.
    every: { type: "string", default: "1000" },
    changing: { type: "string", default: "100" },
  },
});
const MODES = ["live", "stalled", "hushed", "broken", "expired"] as const;
const TOKEN = "fake";

const centre = new FakeCentre(Number(options.agents));
let mode: (typeof MODES)[number] = "live";
let dataAt = Date.now();

function demandToken(context: HandlerContext): void {
  const good = context.requestHeader.get("Authorization") === `Bearer ${TOKEN}`;
  if (!good || mode === "expired") throw new ConnectError("the token is not good", Code.Unauthenticated);
}

function message(snapshot: boolean): WatchResponse {
  if (mode === "live") dataAt = Date.now() - Math.random() * 700;
  const times = { sentAt: at(Date.now()), dataAt: at(dataAt), snapshot };
  const { agents, queues } = centre;
  if (snapshot) return create(WatchResponseSchema, { ...times, agents, queues, alerts: [...centre.alerts.values()] });
  return create(WatchResponseSchema, { ...times, ...(mode === "live" ? centre.step(Number(options.changing)) : {}) });
}

async function* watch(context: HandlerContext): AsyncGenerator<WatchResponse> {
  let first = true;
  while (!context.signal.aborted) {
    demandToken(context);
    if (mode === "broken") throw new ConnectError("broken off", Code.Unavailable);
    if (mode !== "hushed") yield message(first);
    first = false;
    await new Promise((resolve) => setTimeout(resolve, Number(options.every)));
  }
}

function routes(router: ConnectRouter): void {
  router.service(Supervisor, {
    watch: (_request, context) => watch(context),
    timeline(request, context) {
      demandToken(context);
      const hours = request.hours || 8;
      return { spans: centre.timeline(request.agentId, hours), contacts: centre.contacts(hours), knownAt: at(Date.now()) };
    },
    acknowledge(request, context) {
      demandToken(context);
      const alert = centre.acknowledge(request.alertId);
      if (!alert) throw new ConnectError("no such alert", Code.NotFound);
      return { alert };
    },
  });
}

function setMode(request: IncomingMessage, response: ServerResponse): void {
  const asked = MODES.find((each) => request.url === `/fake/${each}`);
  mode = asked ?? mode;
  response.writeHead(asked ? 200 : 404).end(`${mode}\n`);
}

const answerRpc = connectNodeAdapter({ routes, fallback: serveBuiltPage });

const server = createServer((request, response) => {
  if (request.url?.startsWith("/fake/")) setMode(request, response);
  else answerRpc(request, response);
});
server.listen(Number(options.port), "127.0.0.1", () => {
  console.log(`Fake streamer: http://127.0.0.1:${options.port}/#token=${TOKEN}`);
});
