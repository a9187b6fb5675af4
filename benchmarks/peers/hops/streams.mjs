// The job of `hops` in Node.js: three Transforms, three async generators, or three web TransformStreams.
// As in https://nodejs.org/api/stream.html (`pipeline` of "node:stream/promises", `Readable.from`, "Implementing a
// transform stream") and https://nodejs.org/api/webstreams.html (`pipeThrough`, `pipeTo`).
// Usage: node streams.mjs transforms|generators|web ITEMS HIGH_WATER_MARK
// Prints {"wall": seconds, "processor": seconds} of the second run; the first is for the compiler.
import { Readable, Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CountQueuingStrategy, ReadableStream, TransformStream, WritableStream } from "node:stream/web";

const [kind, items, highWaterMark] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const options = { objectMode: true, highWaterMark };
let total = 0;

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

function classic(stages) {
  const sink = new Writable({ ...options, write(_, __, done) { total++; done(); } });
  return pipeline(Readable.from(numbers(items), options), ...stages, sink);
}

function web() {
  const strategy = new CountQueuingStrategy({ highWaterMark });
  const stage = (each) => new TransformStream({ transform: each }, strategy, strategy);
  const source = numbers(items);
  const pull = (controller) => {
    const { done, value } = source.next();
    if (done) controller.close();
    else controller.enqueue(value);
  };
  return new ReadableStream({ pull }, strategy)
    .pipeThrough(stage((item, out) => out.enqueue(item + 1)))
    .pipeThrough(stage((item, out) => { if (item % 2 === 0) out.enqueue(item); }))
    .pipeThrough(stage((item, out) => out.enqueue(item * 2)))
    .pipeTo(new WritableStream({ write() { total++; } }, strategy));
}

const jobs = { transforms: () => classic(transforms()), generators: () => classic(generators()), web };

async function timed() {
  total = 0;
  const before = process.cpuUsage();
  const start = performance.now();
  await jobs[kind]();
  const wall = (performance.now() - start) / 1e3;
  const { user, system } = process.cpuUsage(before);
  if (total !== items / 2) throw new Error(`${total} items arrived, not ${items / 2}`);
  return { wall, processor: (user + system) / 1e6 };
}

await timed();
console.log(JSON.stringify(await timed()));
