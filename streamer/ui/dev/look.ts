import { parseArgs } from "node:util";
import { type Browser, chromium, type Page } from "playwright-core";

// Takes pictures of the built page against a running fake streamer: `node dev/run.js dev/look.ts --out DIR`.

const { values: options } = parseArgs({
  options: {
    url: { type: "string", default: "http://127.0.0.1:8790" },
    out: { type: "string", default: "." },
    browser: { type: "string", default: "/usr/bin/chromium" },
  },
});
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };

async function openPage(browser: Browser, viewport: typeof DESKTOP, colorScheme: "light" | "dark"): Promise<Page> {
  const page = await browser.newPage({ viewport, colorScheme });
  page.on("pageerror", (error) => console.log("page error:", error.message));
  page.on("console", (message) => message.type() === "error" && console.log("console:", message.text()));
  await page.goto(`${options.url}/#token=fake`);
  await page.locator("[data-agent-id]").first().waitFor();
  await page.waitForTimeout(1500);
  return page;
}

async function setMode(mode: string): Promise<void> {
  await fetch(`${options.url}/fake/${mode}`, { method: "POST" });
}

async function shoot(page: Page, name: string, fullPage = false): Promise<void> {
  await page.screenshot({ path: `${options.out}/${name}.png`, fullPage });
  console.log(name, await page.getByTestId("badge").textContent());
}

async function shootDesktop(browser: Browser): Promise<void> {
  const page = await openPage(browser, DESKTOP, "light");
  await shoot(page, "light");
  await page.locator("[data-agent-id]").nth(3).click();
  await page.locator("[data-testid=timeline] svg").waitFor();
  await shoot(page, "timeline");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Thresholds" }).click();
  await shoot(page, "thresholds");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Group by team" }).click();
  await shoot(page, "grouped");
  await page.close();
}

async function shootTrouble(browser: Browser): Promise<void> {
  const page = await openPage(browser, DESKTOP, "dark");
  await shoot(page, "dark");
  for (const [mode, wait] of [["stalled", 8000], ["hushed", 4500], ["expired", 6000]] as const) {
    await setMode(mode);
    await page.waitForTimeout(wait);
    await shoot(page, mode);
  }
  await setMode("live");
  await page.close();
}

async function shootPhone(browser: Browser): Promise<void> {
  const page = await openPage(browser, PHONE, "light");
  await shoot(page, "phone-top");
  await page.locator("#agent-list").scrollIntoViewIfNeeded();
  await page.getByRole("link", { name: "Agents" }).click();
  await page.waitForTimeout(300);
  await shoot(page, "phone-agents");
  await page.locator("[data-agent-id]").nth(2).click();
  await page.locator("[data-testid=timeline] svg").waitFor();
  await shoot(page, "phone-timeline");
  await page.close();
}

const browser = await chromium.launch({ executablePath: options.browser, args: ARGS });
await shootDesktop(browser);
await shootTrouble(browser);
await shootPhone(browser);
await browser.close();
process.exit(0);
