import { type Order, SORT_COLUMNS } from "./grid-lines";
import { keep, readKept } from "./kept";
import { indexThresholds, readThresholds, type Threshold } from "./thresholds";

export type Theme = "auto" | "light" | "dark";
const THEMES: readonly Theme[] = ["auto", "light", "dark"];

export const SPANS = ["15m", "30m", "60m", "day"] as const;
export type SpanName = (typeof SPANS)[number];
export const SPAN_NAMES: Readonly<Record<SpanName, string>> = { "15m": "15 min", "30m": "30 min", "60m": "60 min", day: "Day" };

const DEFAULT_ORDER: Order = { column: "state", descending: false };

/** What a supervisor chose, kept from visit to visit. */
export class Settings {
  theme = $state<Theme>(oneOf(THEMES, readKept("theme")) ?? "auto");
  span = $state<SpanName>(oneOf(SPANS, readKept("span")) ?? "30m");
  order = $state.raw<Order>(readOrder(readKept("order")));
  grouped = $state(readKept("grouped") === true);
  thresholds = $state.raw<readonly Threshold[]>(readThresholds(readKept("thresholds")));
  readonly thresholdsByState = $derived(indexThresholds(this.thresholds));

  nextTheme(): void {
    this.theme = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length] ?? "auto";
    keep("theme", this.theme);
    this.showTheme();
  }

  showTheme(): void {
    if (this.theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = this.theme;
  }

  setSpan(span: SpanName): void {
    this.span = span;
    keep("span", span);
  }

  setOrder(order: Order): void {
    this.order = order;
    keep("order", order);
  }

  setGrouped(grouped: boolean): void {
    this.grouped = grouped;
    keep("grouped", grouped);
  }

  setThresholds(thresholds: readonly Threshold[]): void {
    this.thresholds = thresholds;
    keep("thresholds", thresholds);
  }
}

function oneOf<T>(choices: readonly T[], stored: unknown): T | undefined {
  return choices.find((choice) => choice === stored);
}

function readOrder(stored: unknown): Order {
  const { column, descending } = (stored ?? {}) as Partial<Order>;
  const known = oneOf(SORT_COLUMNS, column);
  return known ? { column: known, descending: descending === true } : DEFAULT_ORDER;
}
