// @medplum/core (https://www.npmjs.com/package/@medplum/core) against a running server.
import { BASE, PEOPLE, SYSTEM, equal, person, refused, step } from "./steps.mjs";

globalThis.WebSocket ??= EventTarget; // Node 20 has none; the package needs the name when it is loaded, and no more here
const { MedplumClient } = await import("@medplum/core");

const client = new MedplumClient({
  baseUrl: `${new URL(BASE).origin}/`,
  fhirUrlPath: "fhir",
  fetch,
  cacheTime: 0, // every step must reach the server
  autoBatchTime: 0,
});
const ids = [];

await step("capabilities", async () => {
  equal((await client.get(client.fhirUrl("metadata"))).fhirVersion, "4.0.1");
});
await step("create", async () => {
  for (let number = 0; number < PEOPLE; number++) {
    const made = await client.createResource(person("medplum", number));
    equal([made.meta.versionId, made.name[0].family], ["1", "Nguyễn"]);
    ids.push(made.id);
  }
});
await step("read", async () => {
  equal((await client.readResource("Patient", ids[0])).birthDate, "1990-02-28");
  equal((await client.readReference({ reference: `Patient/${ids[1]}` })).id, ids[1]);
});
await step("vread", async () => {
  equal((await client.readVersion("Patient", ids[0], "1")).meta.versionId, "1");
});
await step("update", async () => {
  const changed = await client.updateResource({ ...person("medplum", 0), id: ids[0], gender: "male" });
  equal([changed.gender, changed.meta.versionId], ["male", "2"]);
});
await step("patch", async () => {
  const changed = await client.patchResource("Patient", ids[0], [
    { op: "test", path: "/meta/versionId", value: "2" },
    { op: "replace", path: "/birthDate", value: "1991-03-01" },
  ]);
  equal([changed.birthDate, changed.gender, changed.meta.versionId], ["1991-03-01", "male", "3"]);
});
await step("search", async () => {
  equal((await client.searchOne("Patient", { identifier: `${SYSTEM}|medplum-007` })).id, ids[7]);
  equal((await client.searchResources("Patient", "given=medplum&gender=male")).map((each) => each.id), [ids[0]]);
});
await step("paging", async () => {
  const pages = [];
  for await (const page of client.searchResourcePages("Patient", "given=medplum&_count=10")) {
    pages.push(page.map((each) => each.id));
  }
  equal(pages.map((page) => page.length), [10, 10, 5]);
  equal(pages.flat().sort(), [...ids].sort());
});
await step("history", async () => {
  const bundle = await client.readHistory("Patient", ids[0]);
  equal(bundle.entry.map((entry) => entry.resource.meta.versionId), ["3", "2", "1"]);
});
await step("conditional", async () => {
  const query = `identifier=${SYSTEM}|medplum-001`;
  equal((await client.createResourceIfNoneExist(person("medplum", 1), query)).id, ids[1]);
  const changed = await client.upsertResource({ ...person("medplum", 1), gender: "other" }, query);
  equal([changed.id, changed.gender], [ids[1], "other"]);
});
await step("transaction", async () => {
  const entry = [0, 1].map((number) => ({
    resource: person("medplum-bundle", number),
    request: { method: "POST", url: "Patient" },
  }));
  const answer = await client.executeBatch({ resourceType: "Bundle", type: "transaction", entry });
  equal(answer.entry.map((each) => each.response.status.slice(0, 3)), ["201", "201"]);
});
await step("operation", async () => {
  equal((await client.validateResource(person("medplum", 1))).resourceType, "OperationOutcome");
  const bundle = await client.readPatientEverything(ids[1]);
  equal([bundle.type, bundle.entry.map((entry) => entry.resource.id)], ["searchset", [ids[1]]]);
});
await step("binary", async () => {
  const binary = await client.createBinary({ data: "Xin chào", filename: "chao.txt", contentType: "text/plain" });
  equal([binary.resourceType, binary.contentType], ["Binary", "text/plain"]);
  const blob = await client.download(client.fhirUrl("Binary", binary.id), { headers: { Accept: "text/plain" } });
  equal(await blob.text(), "Xin chào");
});
await step("delete", async () => {
  await client.deleteResource("Patient", ids[0]);
  equal(await refused(() => client.readResource("Patient", ids[0])), "deleted");
});
