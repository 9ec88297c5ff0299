import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type WatchResponse, WatchResponseSchema } from "../gen/switchboard/v1/live_pb";
import { SESSION_ENDED, Watcher, type WatcherHooks } from "./watcher";

const message = create(WatchResponseSchema);
type Stream = (signal: AbortSignal) => AsyncIterable<WatchResponse>;

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] }));
afterEach(() => vi.useRealTimers());

async function* failing(code: Code): AsyncIterable<WatchResponse> {
  throw new ConnectError("as told", code);
}

/** One message every so often, until it is aborted; `Infinity` is silence. */
function beating(everyMs: number): Stream {
  return async function* (signal) {
    const gone = new Promise((resolve) => signal.addEventListener("abort", resolve));
    if (everyMs === Infinity) await gone;
    while (!signal.aborted) {
      yield message;
      await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, everyMs))]);
    }
  };
}

function watched(...streams: Stream[]) {
  const hooks = { open: vi.fn<Stream>(), onMessage: vi.fn(), onStreaming: vi.fn(), onNoAnswer: vi.fn(), onRefused: vi.fn() } satisfies WatcherHooks;
  for (const stream of streams) hooks.open.mockImplementationOnce(stream);
  hooks.open.mockImplementation(beating(1_000));
  const watcher = new Watcher(hooks);
  void watcher.run();
  return { hooks, watcher };
}

test("a token that is refused ends it, with a word", async () => {
  const { hooks } = watched(() => failing(Code.Unauthenticated));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(hooks.onRefused).toHaveBeenCalledExactlyOnceWith(SESSION_ENDED);
  expect(hooks.open).toHaveBeenCalledTimes(1);
});

test.each([Code.Unavailable, Code.PermissionDenied, Code.Internal, Code.Unknown])("any other failure (%i) keeps the token and tries again", async (code) => {
  const { hooks, watcher } = watched(() => failing(code), () => failing(code));
  await vi.advanceTimersByTimeAsync(15_000);
  expect(hooks.onRefused).not.toHaveBeenCalled();
  expect(hooks.onStreaming).toHaveBeenLastCalledWith(true);
  watcher.stop();
});

test("a server that never answers is told of, and asked again", async () => {
  const { hooks, watcher } = watched(beating(Infinity));
  await vi.advanceTimersByTimeAsync(9_000);
  expect(hooks.onNoAnswer).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(hooks.onNoAnswer).toHaveBeenCalledTimes(1);
  expect(hooks.onStreaming).toHaveBeenLastCalledWith(true);
  watcher.stop();
});

test("a page that nobody sees holds no stream until it is seen again", async () => {
  const { hooks, watcher } = watched();
  await vi.advanceTimersByTimeAsync(3_000);
  watcher.pause();
  await vi.advanceTimersByTimeAsync(1);
  const told = hooks.onMessage.mock.calls.length;
  watcher.nudge();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(hooks.open).toHaveBeenCalledTimes(1);
  expect(hooks.onMessage).toHaveBeenCalledTimes(told);
  expect(hooks.onStreaming).toHaveBeenLastCalledWith(false);
  watcher.resume();
  await vi.advanceTimersByTimeAsync(1);
  expect(hooks.open).toHaveBeenCalledTimes(2);
  watcher.stop();
});

test("after a sleep the stream is opened anew, although it has not ended", async () => {
  const { hooks, watcher } = watched();
  await vi.advanceTimersByTimeAsync(3_000);
  watcher.restart();
  await vi.advanceTimersByTimeAsync(1_500);
  expect(hooks.open).toHaveBeenCalledTimes(2);
  expect(hooks.open.mock.calls[0]?.[0].aborted).toBe(true);
  watcher.stop();
});
