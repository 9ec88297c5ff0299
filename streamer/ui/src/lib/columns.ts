import type { SortColumn } from "./grid-lines";

export const COLUMN_TITLES: readonly (readonly [SortColumn, string])[] = [
  ["name", "Agent"],
  ["team", "Team"],
  ["state", "State"],
  ["time", "In state"],
  ["reason", "Reason"],
  ["contacts", "Contacts"],
  ["queues", "Queues"],
  ["occupancy", "Occup."],
  ["age", "Age"],
];

export const COLUMN_HINTS: Partial<Record<SortColumn, string>> = {
  occupancy: "Occupancy: time on contact / (on contact + idle), the last 60 minutes",
  age: "How long ago anything of the agent last changed",
};
