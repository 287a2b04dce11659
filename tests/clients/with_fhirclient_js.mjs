// fhirclient, SMART's JavaScript client (https://www.npmjs.com/package/fhirclient), against a running server: first in
// Node, then its browser build in jsdom, which asks beforehand (CORS preflight) and hides headers as browsers do.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { JSDOM, VirtualConsole } from "jsdom";
import { BASE, PEOPLE, SYSTEM, equal, person, refused, step } from "./steps.mjs";

const require = createRequire(import.meta.url);
const FHIR = require("fhirclient");
const PAGE = "http://app.example.vn"; // the origin the server is told to let in

// fhirclient starts from a request of an express-like application.
const request = { headers: {}, url: "/", protocol: "http", get: () => "localhost" };
const storage = { get: async () => undefined, set: async () => undefined, unset: async () => false };
const client = FHIR(request, { redirect() {} }, storage).client(BASE);
const ids = [];

await step("capabilities", async () => {
  equal(await client.getFhirVersion(), "4.0.1");
  equal(await client.getFhirRelease(), 4);
});
await step("create", async () => {
  for (let number = 0; number < PEOPLE; number++) {
    const made = await client.create(person("smart", number));
    equal([made.meta.versionId, made.name[0].family], ["1", "Nguyễn"]);
    ids.push(made.id);
  }
});
await step("read", async () => {
  equal((await client.request(`Patient/${ids[0]}`)).birthDate, "1990-02-28");
});
await step("vread", async () => {
  equal((await client.request(`Patient/${ids[0]}/_history/1`)).meta.versionId, "1");
});
await step("update", async () => {
  const changed = await client.update({ ...person("smart", 0), id: ids[0], gender: "male" });
  equal([changed.gender, changed.meta.versionId], ["male", "2"]);
});
await step("patch", async () => {
  const changed = await client.patch(`Patient/${ids[0]}`, [
    { op: "replace", path: "/birthDate", value: "1991-03-01" },
  ]);
  equal([changed.birthDate, changed.gender, changed.meta.versionId], ["1991-03-01", "male", "3"]);
});
await step("search", async () => {
  const found = await client.request(`Patient?identifier=${encodeURIComponent(`${SYSTEM}|smart-007`)}`, { flat: true });
  equal(found.map((each) => each.id), [ids[7]]);
});
await step("paging", async () => {
  const sizes = [];
  for await (const page of client.pages("Patient?given=smart&_count=10")) {
    sizes.push(page.entry.length);
  }
  equal(sizes, [10, 10, 5]);
  const all = await client.request("Patient?given=smart&_count=10", { pageLimit: 0, flat: true });
  equal(all.map((each) => each.id).sort(), [...ids].sort());
});
await step("history", async () => {
  const bundle = await client.request(`Patient/${ids[0]}/_history`);
  equal(bundle.entry.map((entry) => entry.resource.meta.versionId), ["3", "2", "1"]);
});
await step("conditional", async () => {
  const known = await client.create(person("smart", 1), {
    headers: { "If-None-Exist": `identifier=${SYSTEM}|smart-001`, "Content-Type": "application/fhir+json" },
  });
  equal(known.id, ids[1]);
});
await step("transaction", async () => {
  const entry = [0, 1].map((number) => ({
    resource: person("smart-bundle", number),
    request: { method: "POST", url: "Patient" },
  }));
  const answer = await client.request({
    url: "/",
    method: "POST",
    body: JSON.stringify({ resourceType: "Bundle", type: "transaction", entry }),
    headers: { "Content-Type": "application/fhir+json" },
  });
  equal(answer.entry.map((each) => each.response.status.slice(0, 3)), ["201", "201"]);
});
await step("browser (CORS)", async () => {
  const page = browser();
  const inPage = page.window.FHIR.client(BASE);
  const made = await inPage.create(person("smart-page", 1));
  equal(made.meta.versionId, "1");
  const { response } = await inPage.update({ ...person("smart-page", 1), id: made.id, gender: "male" }, {
    includeResponse: true,
    headers: { "If-Match": 'W/"1"', "Content-Type": "application/fhir+json", Prefer: "return=representation" },
  });
  equal([response.status, response.headers.get("etag")], [200, 'W/"2"']);
  equal(response.headers.get("content-location"), `${BASE}/Patient/${made.id}/_history/2`);
  const patched = await inPage.patch(`Patient/${made.id}`, [{ op: "replace", path: "/gender", value: "other" }]);
  equal([patched.gender, patched.meta.versionId], ["other", "3"]);
  await inPage.delete(`Patient/${made.id}`);
  page.window.close();
});
await step("delete", async () => {
  await client.delete(`Patient/${ids[0]}`);
  equal(await refused(() => client.request(`Patient/${ids[0]}`)), 410);
});

// A page of another origin with the browser build of the client in it.
function browser() {
  const page = new JSDOM("<!doctype html>", { url: PAGE, runScripts: "outside-only", virtualConsole: new VirtualConsole() });
  page.window.eval(readFileSync(require.resolve("fhirclient/build/fhir-client.js"), "utf8"));
  return page;
}
