import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

const streamer = process.env["STREAMER_URL"] ?? "http://127.0.0.1:8790";

export default defineConfig({
  base: "./",
  plugins: [svelte()],
  build: {
    target: "es2022",
    // Younger than these, browsers know light-dark() themselves.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // A data: address would need a hole in the page's content security policy.
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/switchboard.v1.Supervisor": streamer, "/fake": streamer } },
  test: { include: ["src/**/*.test.ts"] },
});
