import { readFile } from "node:fs/promises";
import type { connectNodeAdapter } from "@connectrpc/connect-node";
import { extname, join, normalize } from "node:path";

const TYPES: Record<string, string> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

// As strict as the real streamer may be, so that a page that needs more is found out here.
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types svelte-trusted-html",
].join("; ");

type Handler = ReturnType<typeof connectNodeAdapter>;

export async function serveBuiltPage(...[request, response]: Parameters<Handler>): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const path = normalize(pathname === "/" ? "/index.html" : pathname);
  try {
    const body = await readFile(join("dist", path));
    response.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "application/octet-stream", "Content-Security-Policy": POLICY });
    response.end(body);
  } catch {
    response.writeHead(404);
    response.end("Not found");
  }
}
