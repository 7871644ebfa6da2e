"use strict";
// Bull 4 as its users have it, on the same private Redis.
const Queue = require("bull");

const settings = {};
if (process.env.BENCH_LEASE_MS) {
  settings.lockDuration = Number(process.env.BENCH_LEASE_MS);
  settings.stalledInterval = 1000;
}

exports.open = () =>
  new Queue("bench", { redis: { path: process.env.BENCH_REDIS_SOCKET }, settings });

// Milliseconds since the epoch, with their fraction.
exports.now = () => performance.timeOrigin + performance.now();

exports.sleep = (ms) => new Promise((done) => setTimeout(done, ms));
