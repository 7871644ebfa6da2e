"use strict";
// node http.js: the document's own design, Express in front of Bull 4; prints its port.
const { createSecretKey } = require("crypto");
const express = require("express");
const jwt = require("jsonwebtoken");
const Queue = require("bull");

// jsonwebtoken tries to read a string as a public key first, for each token: a third of the CPU.
const secret = createSecretKey(Buffer.from(process.env.JOBS_JWT_SECRET));
const at = Number(process.env.BENCH_REDIS_PORT);
const redis = at ? { host: "127.0.0.1", port: at } : { path: process.env.BENCH_REDIS_SOCKET };
const queue = new Queue("email", { redis });
queue.on("error", (error) => console.error(String(error)));

function authenticate(req, res, next) {
  const token = (req.headers.authorization || "").split(" ")[1];
  try {
    req.user = jwt.verify(token, secret, { algorithms: ["HS256"] });
  } catch {
    return res.status(401).json({ error: "Unauthorized" });
  }
  next();
}

const app = express();
app.use(express.json({ limit: "100kb" }));

app.post("/api/jobs/email", authenticate, async (req, res) => {
  const { to, subject, html, text, from, priority } = req.body;
  if (!to || !subject) return res.status(400).json({ error: "to and subject are required" });
  try {
    const job = await queue.add(
      { to, subject, html, text, from, organizationId: req.user.organizationId, userId: req.user.sub },
      {
        priority: priority || 2,
        attempts: 5,
        timeout: 30000,
        backoff: { type: "exponential", delay: 5000 },
        removeOnComplete: { age: 86400 },
        removeOnFail: { age: 604800 },
      },
    );
    res.status(202).json({ jobId: job.id, queue: "email", status: "waiting" });
  } catch (error) {
    res.status(500).json({ error: String(error) });
  }
});

queue.isReady().then(() => {
  const server = app.listen(0, "127.0.0.1", 2048, () => console.log(server.address().port));
  process.on("SIGTERM", () => server.close(() => process.exit(0)));
});
