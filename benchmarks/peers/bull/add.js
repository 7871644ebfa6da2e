"use strict";
// node add.js ORDER: the twin of benchmarks/adder.py, which says what an order is.
const { open, now, sleep } = require("./queue.js");

const CHUNK = 1000;
const between = (low, high) => low + Math.random() * (high - low);

// Each adds the jobs numbered from `first` to just before `end`.
const modes = {
  async bulk(queue, payload, first, end) {
    for (let start = first; start < end; start += CHUNK) {
      const all = [];
      for (let i = start; i < Math.min(start + CHUNK, end); i++) all.push({ ...payload, i });
      await queue.addBulk(all);
    }
  },
  async add(queue, payload, first, end) {
    for (let i = first; i < end; i++) await queue.add({ ...payload, i });
  },
  async pickup(queue, payload, first, end, timed) {
    for (let i = first; i < end; i++) {
      await sleep(between(5, 20));
      const t = timed ? now() / 1000 : 0;
      await queue.add({ ...payload, i, t });
    }
  },
  async delayed(queue, payload, first, end, timed) {
    for (let i = first; i < end; i++) {
      const delay = timed ? Math.round(between(500, 2500)) : 0;
      const t = timed ? (now() + delay) / 1000 : 0;
      await queue.add({ ...payload, i, t }, { delay });
    }
  },
};

async function main() {
  const order = JSON.parse(process.argv[2]);
  const queue = open();
  await queue.ready();
  const { mode, first, warm, n, organization } = order;
  const payload = organization ? { ...order.payload, organizationId: organization } : order.payload;
  const start = first + warm;
  await modes[mode](queue, payload, first, start, false);
  const before = process.cpuUsage();
  const began = performance.now();
  await modes[mode](queue, payload, start, start + n, true);
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ seconds, cpu: (user + system) / 1e6 }));
  process.exit(0);
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
