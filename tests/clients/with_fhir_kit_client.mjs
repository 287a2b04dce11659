// fhir-kit-client (https://www.npmjs.com/package/fhir-kit-client) against a running server.
import { Client } from "fhir-kit-client";
import { BASE, PEOPLE, SYSTEM, equal, person, refused, step } from "./steps.mjs";

const client = new Client({ baseUrl: BASE });
const resourceType = "Patient";
const ids = [];
const versions = (bundle) => bundle.entry.map((entry) => entry.resource?.meta.versionId);

await step("capabilities", async () => {
  equal((await client.capabilityStatement()).fhirVersion, "4.0.1");
});
await step("create", async () => {
  for (let number = 0; number < PEOPLE; number++) {
    const made = await client.create({ resourceType, body: person("kit", number) });
    equal([made.meta.versionId, made.name[0].family], ["1", "Nguyễn"]);
    const { response } = Client.httpFor(made);
    equal([response.status, response.headers.get("etag")], [201, 'W/"1"']);
    equal(response.headers.get("location"), `${BASE}/Patient/${made.id}/_history/1`);
    ids.push(made.id);
  }
});
await step("read", async () => {
  equal((await client.read({ resourceType, id: ids[0] })).birthDate, "1990-02-28");
});
await step("vread", async () => {
  equal((await client.vread({ resourceType, id: ids[0], version: "1" })).meta.versionId, "1");
});
await step("update", async () => {
  const body = { ...person("kit", 0), id: ids[0], gender: "male" };
  const changed = await client.update({ resourceType, id: ids[0], body });
  equal([changed.gender, changed.meta.versionId], ["male", "2"]);
  const options = { headers: { "If-Match": 'W/"1"' } };
  equal(await refused(() => client.update({ resourceType, id: ids[0], body, options })), 412);
});
await step("patch", async () => {
  const jsonPatch = [
    { op: "test", path: "/gender", value: "male" },
    { op: "replace", path: "/birthDate", value: "1991-03-01" },
  ];
  const changed = await client.patch({ resourceType, id: ids[0], jsonPatch });
  equal([changed.birthDate, changed.gender, changed.meta.versionId], ["1991-03-01", "male", "3"]);
});
await step("search", async () => {
  const searchParams = { identifier: `${SYSTEM}|kit-007` };
  const byGet = await client.search({ resourceType, searchParams });
  equal([byGet.type, byGet.entry.map((entry) => entry.resource.id)], ["searchset", [ids[7]]]);
  const byPost = await client.search({ resourceType, searchParams, options: { postSearch: true } });
  equal(byPost.entry.map((entry) => entry.resource.id), [ids[7]]);
});
await step("compartment", async () => {
  const body = { resourceType: "Observation", status: "final", code: { text: "Cân nặng" }, subject: { reference: `Patient/${ids[1]}` } };
  const made = await client.create({ resourceType: "Observation", body });
  const found = await client.search({ resourceType: "Observation", compartment: { resourceType, id: ids[1] } });
  equal(found.entry.map((entry) => entry.resource.id), [made.id]);
});
await step("paging", async () => {
  const sizes = [];
  const seen = [];
  let page = await client.search({ resourceType, searchParams: { given: "kit", _count: 10 } });
  const first = page.entry.map((entry) => entry.resource.id);
  let previous;
  while (page) {
    sizes.push(page.entry.length);
    seen.push(...page.entry.map((entry) => entry.resource.id));
    previous = page;
    page = await client.nextPage({ bundle: page });
  }
  equal(sizes, [10, 10, 5]);
  equal(seen.sort(), [...ids].sort());
  const back = await client.prevPage({ bundle: await client.prevPage({ bundle: previous }) });
  equal(back.entry.map((entry) => entry.resource.id), first);
});
await step("history", async () => {
  equal(versions(await client.history({ resourceType, id: ids[0] })), ["3", "2", "1"]);
  equal((await client.history({ resourceType })).type, "history");
  equal((await client.history()).type, "history");
});
await step("conditional", async () => {
  const options = { headers: { "If-None-Exist": `identifier=${SYSTEM}|kit-001` } };
  const known = await client.create({ resourceType, body: person("kit", 1), options });
  equal([known.id, Client.httpFor(known).response.status], [ids[1], 200]);
  const searchParams = { identifier: `${SYSTEM}|kit-001` };
  const changed = await client.update({ resourceType, searchParams, body: { ...person("kit", 1), gender: "other" } });
  equal([changed.id, changed.gender], [ids[1], "other"]);
});
await step("transaction", async () => {
  const entry = [0, 1].map((number) => ({
    fullUrl: `urn:uuid:0190b3a4-0000-7000-8000-00000000000${number}`,
    resource: person("kit-bundle", number),
    request: { method: "POST", url: "Patient" },
  }));
  for (const type of ["transaction", "batch"]) {
    const answer = await client[type]({ body: { resourceType: "Bundle", type, entry } });
    equal([answer.type, answer.entry.map((each) => each.response.status.slice(0, 3))], [`${type}-response`, ["201", "201"]]);
  }
});
await step("operation", async () => {
  const outcome = await client.operation({ resourceType, name: "validate", input: person("kit", 1) });
  equal(outcome.resourceType, "OperationOutcome");
  equal((await client.operation({ resourceType, id: ids[1], name: "everything", method: "GET" })).type, "searchset");
});
await step("delete", async () => {
  await client.delete({ resourceType, id: ids[0] });
  equal(await refused(() => client.read({ resourceType, id: ids[0] })), 410);
});
