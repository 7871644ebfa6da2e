// The same calls with the client of @hey-api/openapi-ts: compiled strictly.
import * as jobs from "./heyapi/index";
import { client } from "./heyapi/client.gen";

client.setConfig({ baseUrl: process.env.JOBS_URL ?? "", auth: () => process.env.JOBS_TOKEN });

export async function flat(): Promise<string[]> {
  const answers = [
    await jobs.createEmail({
      body: {
        to: "user@example.com",
        subject: "Test Email",
        html: "<p>Hello!</p>",
        text: "Hello!",
        from: "noreply@hse.digital",
        priority: 2,
      },
    }),
    await jobs.createReports({
      body: {
        type: "audits",
        filters: { status: "Completed" },
        format: "json",
        notifyEmail: "user@example.com",
      },
    }),
    await jobs.createDataExports({
      body: {
        entities: ["stations", "audits", "incidents"],
        format: "json",
        notifyEmail: "user@example.com",
      },
    }),
    await jobs.createWebhooks({
      body: {
        url: "https://api.example.com/webhook",
        payload: { event: "test" },
        secret: "webhook-secret",
        eventType: "test.event",
      },
    }),
    await jobs.createTenantOnboarding({
      body: {
        organizationName: "Acme Corp",
        adminEmail: "admin@acme.com",
        adminName: "John Doe",
        tier: "professional",
      },
    }),
  ];
  return answers.map(({ data, error }) => data?.jobId ?? error?.code ?? "");
}

export async function wrapped(): Promise<unknown[]> {
  const options = { priority: 1, attempts: 2, delay: 1000, backoff: 5000, timeout: 30_000 };
  return [
    await jobs.createEmail({
      body: { payload: { to: ["ann@example.com"], subject: "Hi", text: "Hi" }, options },
    }),
    await jobs.createReports({ body: { payload: { type: "compliance", format: "pdf" }, options } }),
    await jobs.createDataExports({ body: { payload: { entities: ["users"] }, options } }),
    await jobs.createWebhooks({
      body: {
        payload: {
          url: "https://api.example.com/webhook",
          payload: { event: "test", data: { deep: [{ down: 1.5 }] } },
          eventType: "test.event",
        },
        options,
      },
    }),
    await jobs.createTenantOnboarding({
      body: {
        payload: { organizationName: "Acme", adminEmail: "admin@acme.com", adminName: "John" },
        options,
      },
    }),
  ];
}

export async function look(): Promise<string | null> {
  const page = await jobs.jobs({ path: { queue: "email" }, query: { limit: 1, status: "failed" } });
  const job = page.data?.jobs[0];
  if (job === undefined) return null;
  const path = { queue: job.queue, job_id: job.id };
  await jobs.retry({ path });
  await jobs.remove({ path });
  await jobs.clean({ path: { queue: "email" }, body: { grace: 0, status: "completed" } });
  return job.failedReason;
}
