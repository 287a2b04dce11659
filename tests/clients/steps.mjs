// What a client's script does step by step: each step is one interaction, and says in one line how it went.
import assert from "node:assert/strict";

export const BASE = process.env.FHIR_BASE;
export const SYSTEM = "http://hososuckhoe.example.vn/fhir/sid/bhxh-number";
export const PEOPLE = 25; // how many people each script makes, to page through ten at a time
export const equal = assert.deepEqual;

// An invented person; `given` is the name of the client, so that each finds its own people only.
export function person(given, number) {
  return {
    resourceType: "Patient",
    active: true,
    identifier: [{ system: SYSTEM, value: `${given}-${String(number).padStart(3, "0")}` }],
    name: [{ family: "Nguyễn", given: ["Mẫu", given] }],
    gender: "female",
    birthDate: "1990-02-28",
  };
}

// Carries out one step and prints its result as a line of JSON; a failed step does not stop the next one.
export async function step(interaction, action) {
  let problem = "";
  try {
    await action();
  } catch (error) {
    const body = error?.response?.data ?? error?.outcome;
    problem = `${error?.name}: ${error?.message} ${body ? JSON.stringify(body) : ""}`.trim().slice(0, 600);
  }
  console.log(JSON.stringify({ interaction, problem }));
}

// The numbers of an error's response, whatever the client calls it; fails when there was no error.
export async function refused(action) {
  try {
    await action();
  } catch (error) {
    return error?.response?.status ?? error?.status ?? error?.statusCode ?? error?.outcome?.issue?.[0]?.code;
  }
  throw new Error("the server did not refuse it");
}
