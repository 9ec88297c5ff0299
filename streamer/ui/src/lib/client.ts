import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Supervisor } from "../gen/switchboard/v1/live_pb";

export type SupervisorClient = Client<typeof Supervisor>;

export function supervisorClient(token: string): SupervisorClient {
  const transport = createConnectTransport({
    baseUrl: location.origin,
    useBinaryFormat: true,
    interceptors: [withToken(token)],
  });
  return createClient(Supervisor, transport);
}

function withToken(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("Authorization", `Bearer ${token}`);
    return next(request);
  };
}
