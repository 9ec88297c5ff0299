// Runs a TypeScript file of this folder: `node dev/run.js dev/fake-streamer.ts --agents 1000`.
import { runnerImport } from "vite";

const [, , file, ...rest] = process.argv;
process.argv = [process.argv[0], file, ...rest];
await runnerImport(`./${file}`);
