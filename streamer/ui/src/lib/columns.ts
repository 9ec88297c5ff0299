import type { SortColumn } from "./grid-lines";

export const COLUMN_TITLES: readonly (readonly [SortColumn, string])[] = [
  ["name", "Agent"],
  ["team", "Team"],
  ["state", "State"],
  ["time", "In state"],
  ["reason", "Reason"],
  ["contacts", "Contacts"],
  ["queues", "Queues"],
  ["age", "Age"],
];
