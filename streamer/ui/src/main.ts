import { mount } from "svelte";
import App from "./components/App.svelte";
import { Live } from "./lib/live.svelte";
import { isMeasuring, PaintRecorder } from "./lib/painted";
import { mayReplace, savedToken, takeTokenFromAddress } from "./lib/session";
import { Settings } from "./lib/settings.svelte";
import "./styles/tokens.css";
import "./styles/base.css";

const live = new Live();
const settings = new Settings();
const recorder = isMeasuring(location.search) ? new PaintRecorder() : null;

function signInFromAddress(): void {
  const [brought, current] = [takeTokenFromAddress(), savedToken()];
  if (brought !== null && mayReplace(current, brought, Date.now())) live.signIn(brought);
  else if (brought !== null) live.offered = brought;
}

const token = savedToken();
settings.showTheme();
live.start();
if (token) live.signIn(token);
signInFromAddress();
window.addEventListener("hashchange", signInFromAddress);
mount(App, { target: document.getElementById("app")!, props: { live, settings, recorder } });
