// A client that reads rows as slowly as its user likes, beside what the server says of its database cursor.

import { byId, refusal, say } from "./page.js";

const PACE = 50; // milliseconds between two pieces, so that there is something to see

let paused = false;
let leaving = null; // the AbortController of the download that runs

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const setButtons = (running) => {
  paused = false;
  byId("start").disabled = running;
  byId("pause").disabled = byId("leave").disabled = !running;
  say("pause", "Pause");
};

const rowsIn = (bytes) => bytes.reduce((count, byte) => count + (byte === 10), 0);

const download = async (url, signal, tell) => {
  const answer = await fetch(url, { signal });
  if (!answer.ok) throw new Error(await refusal(answer));
  const reader = answer.body.getReader();
  for (let rows = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return rows;
    rows += rowsIn(value);
    tell(rows);
    do {
      await sleep(PACE);
      signal.throwIfAborted();
    } while (paused);
  }
};

const start = async () => {
  const key = crypto.randomUUID();
  let here = 0;
  const look = async () => {
    const { rows, state } = await (await fetch(`cursors/${key}`)).json();
    say("there", rows);
    say("between", Math.max(0, rows - here));
    say("cursor", state);
  };
  const looking = setInterval(() => look().catch(() => {}), 200);
  leaving = new AbortController();
  setButtons(true);
  say("said", "Reading.");
  try {
    const rows = await download(`orders?form=ndjson&cursor=${key}`, leaving.signal, (count) => {
      here = count;
      say("here", count);
    });
    say("said", `All ${rows.toLocaleString("en")} rows are here.`);
  } catch (error) {
    say("said", error.name === "AbortError" ? "Left. The cursor is closed." : `It broke off: ${error.message}`);
  } finally {
    setButtons(false);
    await sleep(300); // the last look, when the server has heard of it
    clearInterval(looking);
    await look().catch(() => {});
  }
};

byId("start").addEventListener("click", start);
byId("leave").addEventListener("click", () => leaving.abort());
byId("pause").addEventListener("click", () => {
  paused = !paused;
  say("pause", paused ? "Go on" : "Pause");
  say("said", paused ? "Paused. The cursor stops when what lies between is full." : "Reading.");
});
