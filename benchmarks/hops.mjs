// The same small job in Node.js: three Transforms, or three async generators, in stream.pipeline().
// Usage: node hops.mjs transforms|generators ITEMS HIGH_WATER_MARK. Prints the processor's seconds.
import { Readable, Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";

const [kind, items, mark] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const options = { objectMode: true, highWaterMark: mark };

function* numbers(n) {
  for (let i = 0; i < n; i++) yield i;
}

const transform = (each) => new Transform({ ...options, transform(item, _, done) { each(item, this); done(); } });

const transforms = () => [
  transform((item, out) => out.push(item + 1)),
  transform((item, out) => { if (item % 2 === 0) out.push(item); }),
  transform((item, out) => out.push(item * 2)),
];

const generators = () => [
  async function* (source) { for await (const item of source) yield item + 1; },
  async function* (source) { for await (const item of source) if (item % 2 === 0) yield item; },
  async function* (source) { for await (const item of source) yield item * 2; },
];

async function run(n) {
  let total = 0;
  const sink = new Writable({ ...options, write(_, __, done) { total++; done(); } });
  await pipeline(Readable.from(numbers(n), options), ...(kind === "transforms" ? transforms() : generators()), sink);
  if (total !== n / 2) throw new Error(`${total} items arrived, not ${n / 2}`);
}

await run(items); // the compiler has seen it once, as in the rounds of the others
const before = process.cpuUsage();
await run(items);
const { user, system } = process.cpuUsage(before);
console.log((user + system) / 1e6);
