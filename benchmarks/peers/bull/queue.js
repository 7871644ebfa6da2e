"use strict";
// Bull 4 or BullMQ (BENCH_PEER) as its users have it, on the same private Redis.
const peer = process.env.BENCH_PEER;
const port = Number(process.env.BENCH_REDIS_PORT);
const redis = port ? { host: "127.0.0.1", port } : { path: process.env.BENCH_REDIS_SOCKET };

const settings = {};
if (process.env.BENCH_LEASE_MS) {
  settings.lockDuration = Number(process.env.BENCH_LEASE_MS);
  settings.stalledInterval = 1000;
}

const complain = (error) => console.error(String(error));

function bull() {
  const Queue = require("bull");
  const queue = new Queue("bench", { redis, settings });
  queue.on("error", complain);
  return {
    ready: () => queue.isReady(),
    add: (data, options) => queue.add(data, options),
    addBulk: (all) => queue.addBulk(all.map((data) => ({ data }))),
    work: (concurrency, task) => queue.process(concurrency, task),
  };
}

function bullmq() {
  const { Queue, Worker } = require("bullmq");
  const queue = () => (bullmq.queue ??= new Queue("bench", { connection: redis }));
  return {
    ready: () => queue().waitUntilReady(),
    add: (data, options) => queue().add("mail", data, options),
    addBulk: (all) => queue().addBulk(all.map((data) => ({ name: "mail", data }))),
    work(concurrency, task) {
      const connection = { ...redis, maxRetriesPerRequest: null };
      const worker = new Worker("bench", task, { connection, concurrency, ...settings });
      worker.on("error", complain);
    },
  };
}

exports.open = peer === "bullmq" ? bullmq : bull;

// Milliseconds since the epoch, with their fraction.
exports.now = () => performance.timeOrigin + performance.now();

exports.sleep = (ms) => new Promise((done) => setTimeout(done, ms));
