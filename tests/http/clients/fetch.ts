// A platform's client of openapi-typescript and openapi-fetch: compiled strictly, then run.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi.js";

type Created = components["schemas"]["Created"];
type Problem = components["schemas"]["Problem"];

const client = createClient<paths>({
  baseUrl: process.env.JOBS_URL ?? "",
  headers: { Authorization: `Bearer ${process.env.JOBS_TOKEN}` },
});

// A platform's own data, which know nothing of JSON Schema.
interface Incident {
  id: string;
  title: string;
  seen: { by: string; at: number }[];
}
const incident: Incident = { id: "i-1", title: "Spill", seen: [{ by: "ann", at: 17.5 }] };

function created(answer: { data?: Created; error?: Problem; response: Response }): Created {
  assert.equal(answer.response.status, 202, JSON.stringify(answer.error));
  assert.ok(answer.data);
  const place = `/api/jobs/${answer.data.queue}/jobs/${answer.data.jobId}`;
  assert.equal(answer.response.headers.get("Location"), place);
  assert.equal(answer.data.created, true);
  return answer.data;
}

// The bodies of the description, letter by letter, with the options beside the payload.
const mail = created(
  await client.POST("/api/jobs/email", {
    body: {
      to: "user@example.com",
      subject: "Test Email",
      html: "<p>Hello!</p>",
      text: "Hello!",
      from: "noreply@hse.digital",
      priority: 2,
    },
  }),
);
created(
  await client.POST("/api/jobs/reports", {
    body: {
      type: "audits",
      filters: { status: "Completed" },
      format: "json",
      notifyEmail: "user@example.com",
    },
  }),
);
created(
  await client.POST("/api/jobs/data-exports", {
    body: {
      entities: ["stations", "audits", "incidents"],
      format: "json",
      notifyEmail: "user@example.com",
    },
  }),
);
created(
  await client.POST("/api/jobs/webhooks", {
    body: {
      url: "https://api.example.com/webhook",
      payload: { event: "test" },
      secret: "webhook-secret",
      eventType: "test.event",
    },
  }),
);
created(
  await client.POST("/api/jobs/tenant-onboarding", {
    body: {
      organizationName: "Acme Corp",
      adminEmail: "admin@acme.com",
      adminName: "John Doe",
      tier: "professional",
    },
  }),
);

// The same with the options apart, and what else the description's examples give.
const later = created(
  await client.POST("/api/jobs/email", {
    body: {
      payload: { to: ["Ann <ann@example.com>"], template: "welcome", context: { name: "Ann" } },
      options: { priority: 5, delay: 3_600_000, jobId: "later" },
    },
  }),
);
assert.equal(later.status, "delayed");
created(
  await client.POST("/api/jobs/reports", {
    body: {
      payload: {
        type: "compliance",
        filters: { startDate: "2026-01-01", endDate: "2026-01-31" },
        format: "pdf",
      },
      options: { attempts: 2, backoff: { type: "exponential", delay: 5000 }, timeout: 300_000 },
    },
  }),
);
created(
  await client.POST("/api/jobs/data-exports", {
    body: { payload: { entities: ["contractors", "users"] }, options: {} },
  }),
);
created(
  await client.POST("/api/jobs/webhooks", {
    body: {
      payload: {
        url: "https://api.example.com/webhook",
        payload: { event: "incident.created", data: incident },
        eventType: "incident.created",
      },
      options: { priority: 1 },
    },
    headers: { "Idempotency-Key": "incident-1" },
  }),
);
created(
  await client.POST("/api/jobs/tenant-onboarding", {
    body: {
      payload: {
        organizationName: "Beta Corp",
        adminEmail: "admin@beta.example",
        adminName: "Jane Doe",
        stripeCustomerId: "cus_123",
        stripeSubscriptionId: "sub_123",
      },
    },
  }),
);

// Recipients in every form that nodemailer takes: these are compiled.
export const recipients: components["schemas"]["EmailPayload"][] = [
  {
    to: { name: "Doe, Ann", address: "ann@example.com" },
    cc: ["Bob <bob@example.com>", { address: "cy@example.com" }],
    bcc: null,
    replyTo: [{ name: null, address: "desk@example.com" }, "eve@example.com"],
    from: { name: "HSE", address: "noreply@hse.digital" },
    subject: "Hi",
    text: "Hi",
    attachments: [{ artifactId: "5fa0c17be94d32865fa0c17be94d3286", filename: "a.pdf" }],
  },
];

// Looking: a list page by page, and one job.
const seen: string[] = [];
let cursor: string | null | undefined;
do {
  const { data, error } = await client.GET("/api/jobs/{queue}/jobs", {
    params: {
      path: { queue: "reports" },
      query: { status: "waiting", limit: 1, ...(cursor ? { cursor } : {}) },
    },
  });
  assert.ok(data, JSON.stringify(error));
  seen.push(...data.jobs.map((job) => job.id));
  cursor = data.next;
} while (cursor);
assert.equal(seen.length, 2);

const path = { queue: "email", job_id: mail.jobId };
const one = await client.GET("/api/jobs/{queue}/jobs/{job_id}", { params: { path } });
assert.equal(one.data?.status, "waiting");
assert.equal(one.data.priority, 2);
const finished: string | null = one.data.finishedAt;
assert.equal(finished, null);

const { data: stats } = await client.GET("/api/jobs/stats");
assert.equal(stats?.["reports"]?.waiting, 2);

// Acting: a retry of what did not fail, a clean, a removal; then it is gone.
const retried = await client.POST("/api/jobs/{queue}/jobs/{job_id}/retry", { params: { path } });
assert.equal(retried.response.status, 409);
assert.equal(retried.error?.code, "wrong_state");

const cleaned = await client.POST("/api/jobs/{queue}/clean", {
  params: { path: { queue: "email" } },
  body: { grace: 3_600_000, status: "completed" },
});
assert.deepEqual(cleaned.data, { removed: 0 });

const removed = await client.DELETE("/api/jobs/{queue}/jobs/{job_id}", { params: { path } });
assert.equal(removed.response.status, 204);
const gone = await client.GET("/api/jobs/{queue}/jobs/{job_id}", { params: { path } });
assert.equal(gone.error?.status, 404);

const refused = await client.POST("/api/jobs/email", {
  body: { to: "nobody", subject: "Hi", text: "Hi" },
});
assert.equal(refused.response.status, 422);
assert.deepEqual(refused.error?.errors?.map((wrong) => wrong.field), ["to.0"]);

// What the compiler refuses: each of these lines is an error, or the test fails.
export const wrong: components["schemas"]["EmailPayload"][] = [
  // @ts-expect-error: nothing to send
  { to: "user@example.com", subject: "Hi" },
  // @ts-expect-error: no subject
  { to: "user@example.com", text: "Hi" },
  // @ts-expect-error: the template needs a name
  { to: "user@example.com", template: "welcome", context: {} },
];
export const nameless: components["schemas"]["EmailPayload"] = {
  // @ts-expect-error: a name is no address
  to: { name: "Ann" },
  subject: "Hi",
  text: "Hi",
};
export const tier: components["schemas"]["TenantOnboardingPayload"] = {
  organizationName: "Acme Corp",
  adminEmail: "admin@acme.com",
  adminName: "John Doe",
  // @ts-expect-error: there is no such tier
  tier: "gold",
};
console.log("done");
