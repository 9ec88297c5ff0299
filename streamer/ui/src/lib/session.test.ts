import { expect, test } from "vitest";
import { mayReplace, nameOf } from "./session";

const token = (claims: object) => `head.${btoa(JSON.stringify(claims)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}.signature`;
const mine = token({ sub: "kim", tenant: 7, exp: 100 });
const other = token({ sub: "zoë", tenant: 8, exp: 900 });

test("a link moves nobody out of a session that lasts without a question", () => {
  expect(mayReplace(mine, other, 99_000)).toBe(false);
  expect(mayReplace("opaque", other, 99_000)).toBe(false);
  expect(mayReplace(mine, other, 100_000)).toBe(true);
  expect(mayReplace(mine, mine, 99_000)).toBe(true);
  expect(mayReplace(null, other, 99_000)).toBe(true);
});

test("sessions are told apart by who and which account", () => {
  expect([mine, token({ tenant: 3 }), "opaque", ""].map(nameOf)).toEqual(["kim of account 7", "somebody of account 3", "somebody", "somebody"]);
});
