import { mount } from "svelte";
import App from "./components/App.svelte";
import { Live } from "./lib/live.svelte";
import { isMeasuring, PaintRecorder } from "./lib/painted";
import { savedToken, takeTokenFromAddress } from "./lib/session";
import { Settings } from "./lib/settings.svelte";
import "./styles/tokens.css";
import "./styles/base.css";

const live = new Live();
const settings = new Settings();
const recorder = isMeasuring(location.search) ? new PaintRecorder() : null;

function signInFromAddress(): void {
  const token = takeTokenFromAddress();
  if (token) live.signIn(token);
}

const token = takeTokenFromAddress() ?? savedToken();
settings.showTheme();
live.start();
if (token) live.signIn(token);
window.addEventListener("hashchange", signInFromAddress);
mount(App, { target: document.getElementById("app")!, props: { live, settings, recorder } });
