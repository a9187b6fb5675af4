// Sends a file in one request, and hears in another what becomes of it meanwhile.

import { byId, refusal, say, tableRow } from "./page.js";

const BAD = { 40: "4O", 1200: "many", 2500: "", 3999: "12.5" };

const exampleFile = () => {
  const lines = ["id,day,region,product,quantity,cents"];
  for (let id = 1; id <= 50_000; id += 1) {
    const day = id === 777 ? "2026-02-30" : `2026-03-${String((id % 28) + 1).padStart(2, "0")}`;
    const region = id === 1500 ? "<b>north</b>" : "north";
    lines.push(`${id},${day},${region},lamp,${BAD[id] ?? 3},${id * 100}`);
  }
  return new File([lines.join("\n"), "\n"], "example.csv", { type: "text/csv" });
};

const clear = () => {
  byId("letters").replaceChildren();
  byId("letters-box").hidden = true;
  byId("none").hidden = false;
  byId("progress").value = 0;
  for (const id of ["bytes", "rows", "bad"]) say(id, 0);
};

const show = ({ bytes, rows, bad }, size) => {
  say("bytes", bytes);
  say("rows", rows);
  say("bad", bad);
  byId("progress").value = size ? bytes / size : 1;
};

const showLetter = ({ line, error, row }) => {
  byId("none").hidden = true;
  byId("letters-box").hidden = false;
  const wrong = error.replace(/^line \d+: /, "");
  const cells = [{ text: line, name: "number" }, { text: wrong, below: Object.values(row).join(", ") }];
  byId("letters").append(tableRow(...cells));
};

// Resolves when the server is ready to tell, so that nothing is missed of what is sent after it.
const watch = (key, size) => new Promise((resolve, reject) => {
  const events = new EventSource(`uploads/${key}/events`);
  const on = (name, act) => events.addEventListener(name, ({ data }) => act(JSON.parse(data)));
  on("ready", () => resolve(events));
  on("progress", (told) => show(told, size));
  on("bad", showLetter);
  for (const last of ["stored", "failed"]) {
    on(last, (told) => {
      show(told, last === "stored" ? 0 : size);
      events.close();
    });
  }
  events.addEventListener("error", () => {
    events.close();
    reject(new Error("The server cannot be reached."));
  });
});

const upload = async (file) => {
  clear();
  say("said", `Sending ${file.name} …`);
  const key = crypto.randomUUID();
  const events = await watch(key, file.size);
  const answer = await fetch(`uploads/${key}`, { method: "PUT", body: file });
  if (!answer.ok) {
    events.close();
    throw new Error(await refusal(answer));
  }
  const { rows, bad } = await answer.json();
  say("said", `Stored ${rows.toLocaleString("en")} rows; ${bad.toLocaleString("en")} were bad.`);
};

const listStored = async () => {
  const stored = await (await fetch("stored")).json();
  byId("empty").hidden = stored.length > 0;
  byId("stored").replaceChildren(...stored.map(({ name, bytes }) => {
    const link = document.createElement("a");
    link.href = `stored/${encodeURIComponent(name)}`;
    link.textContent = name;
    const item = document.createElement("li");
    item.append(link, ` ${bytes.toLocaleString("en")} bytes`);
    return item;
  }));
};

const run = async (file) => {
  const buttons = [...document.querySelectorAll("#form button")];
  buttons.forEach((button) => { button.disabled = true; });
  try {
    await upload(file);
  } catch (error) {
    say("said", `Nothing was stored. ${error.message}`);
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
    await listStored();
  }
};

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const [file] = byId("file").files;
  if (file) run(file);
  else say("said", "Choose a file first.");
});
byId("example").addEventListener("click", () => run(exampleFile()));
listStored();
