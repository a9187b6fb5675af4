// The job `etl` in Node.js: csv-parse, a Transform, csv-stringify and zlib in one `pipeline`.
//
//   node etl.mjs lists|objects INPUT OUTPUT     prints {"wall": seconds, "processor": seconds}
import { createReadStream, createWriteStream } from "node:fs";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { parse } from "csv-parse";
import { stringify } from "csv-stringify";

const COLUMN = "processed";
const VALUE = "2024-03-01T12:00:00Z";
const [way, input, output] = process.argv.slice(2);
const objects = way === "objects";

let first = true;
const longerList = (row) => {
  row.push(first ? COLUMN : VALUE);
  first = false;
  return row;
};
const longerObject = (row) => {
  row[COLUMN] = VALUE;
  return row;
};
const change = objects ? longerObject : longerList;
const add = new Transform({
  objectMode: true,
  transform(row, _encoding, done) {
    done(null, change(row));
  },
});

const start = process.hrtime.bigint();
await pipeline(
  createReadStream(input),
  parse({ columns: objects }),
  add,
  stringify({ header: objects }),
  createGzip({ level: 6 }),
  createWriteStream(output),
);
const wall = Number(process.hrtime.bigint() - start) / 1e9;
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ wall, processor: (user + system) / 1e6 }));
