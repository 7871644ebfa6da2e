"use strict";
// node add.js ORDER: the twin of benchmarks/adder.py, which says what an order is.
const { open, now, sleep } = require("./queue.js");

const CHUNK = 1000;
const between = (low, high) => low + Math.random() * (high - low);

// Each adds the jobs numbered from `first` to just before `end`.
const modes = {
  async bulk(queue, order, first, end) {
    for (let start = first; start < end; start += CHUNK) {
      const jobs = [];
      for (let i = start; i < Math.min(start + CHUNK, end); i++) {
        jobs.push({ data: { ...order.payload, i } });
      }
      await queue.addBulk(jobs);
    }
  },
  async add(queue, order, first, end) {
    for (let i = first; i < end; i++) await queue.add({ ...order.payload, i });
  },
  async pickup(queue, order, first, end, timed) {
    for (let i = first; i < end; i++) {
      await sleep(between(5, 20));
      const t = timed ? now() / 1000 : 0;
      await queue.add({ ...order.payload, i, t });
    }
  },
  async delayed(queue, order, first, end, timed) {
    for (let i = first; i < end; i++) {
      const delay = timed ? Math.round(between(500, 2500)) : 0;
      const t = timed ? (now() + delay) / 1000 : 0;
      await queue.add({ ...order.payload, i, t }, { delay });
    }
  },
};

async function main() {
  const order = JSON.parse(process.argv[2]);
  const queue = open();
  await queue.isReady();
  const { mode, warm, n } = order;
  await modes[mode](queue, order, 0, warm, false);
  const began = performance.now();
  await modes[mode](queue, order, warm, warm + n, true);
  console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000 }));
  process.exit(0);
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
