"use strict";
// node worker.js TASK CONCURRENCY: the same three tasks as benchmarks/bodies.py.
const fs = require("fs");
const { open, now, sleep } = require("./queue.js");

const [task, concurrency] = process.argv.slice(2);
const file = (name) => `${process.env.BENCH_DIR}/${name}-${process.pid}`;
const files = {};
let marked = false;

function append(name, line) {
  if (!files[name]) files[name] = fs.openSync(file(name), "a");
  fs.writeSync(files[name], line);
}

const tasks = {
  async mail(job) {
    if (!marked) {
      marked = true;
      fs.writeFileSync(file("mark"), "");
    }
    return { ok: true, id: job.data.i };
  },
  async probe(job) {
    const at = now();
    if (job.data.t) append("late", `${(at - job.data.t * 1000).toFixed(3)}\n`);
    return { ok: true, id: job.data.i };
  },
  async nap(job) {
    await sleep(5);
    append("ran", `${job.data.i}\n`);
    return { ok: true, id: job.data.i };
  },
};

open().work(Number(concurrency), tasks[task]);
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
