import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Supervisor } from "../gen/switchboard/v1/live_pb";

/** So that a call whose connection the browser never opens, or whose server is gone, ends. The stream has limits of its own. */
const CALL_MS = 15_000;

/** Over HTTP/1.1 a browser opens six connections to a server, and each tab or window in sight holds one. */
export const TOO_MANY_TABS = "if this page is open in many windows, close some: a browser keeps few connections to one server";

export type SupervisorClient = Client<typeof Supervisor>;

export function supervisorClient(token: string): SupervisorClient {
  const transport = createConnectTransport({
    baseUrl: location.origin,
    useBinaryFormat: true,
    defaultTimeoutMs: CALL_MS,
    interceptors: [withToken(token)],
  });
  return createClient(Supervisor, transport);
}

/** What is shown of a call that failed. */
export function failureOf(error: unknown): string {
  if (ConnectError.from(error).code === Code.DeadlineExceeded) return `no answer (${TOO_MANY_TABS})`;
  return "failed";
}

function withToken(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("Authorization", `Bearer ${token}`);
    return next(request);
  };
}
