// One EventSource for all that the page shows; closed while nobody looks at it.

import { byId, refusal, say, tableRow } from "./page.js";

const SHOWN = 240; // readings in the curve
const SPAN = [17, 23]; // degrees from its lower to its upper edge
const LOOKS = { running: "good", finished: "good", drained: "good", failed: "bad", cancelled: "bad" };

const readings = [];
let events = null;

const showCurve = () => {
  readings.splice(0, readings.length - SHOWN);
  const [low, high] = SPAN;
  const points = readings.map((value, at) => `${at},${(100 * (high - value)) / (high - low)}`);
  byId("curve").setAttribute("points", points.join(" "));
};

const showReading = ({ degrees, smooth }) => {
  say("now", `${degrees.toFixed(1)} °C`);
  say("smooth", `${smooth.toFixed(1)} °C`);
  readings.push(smooth);
  showCurve();
  if (byId("said").textContent !== "Live.") say("said", "Live.");
};

const showKnown = (known) => {
  readings.splice(0, readings.length, ...known);
  showCurve();
};

const stateOf = ({ state, starts_in: pause }) => (pause == null ? state : `${state} in ${pause.toFixed(1)} s`);

const showStatistics = ({ pages, missed, pipelines }) => {
  say("pages", pages);
  say("missed", missed);
  byId("pipelines").replaceChildren(...pipelines.map((one) => tableRow(
    { text: one.name },
    { text: stateOf(one), name: `state ${LOOKS[one.state] ?? "warn"}`, below: one.error },
    { text: one.failures, name: "number" },
  )));
  byId("stages").replaceChildren(...pipelines.flatMap(({ name, stages }) => [
    tableRow({ text: name, name: "group", span: 4 }),
    ...stages.map((stage) => tableRow(
      { text: stage.name },
      { text: stage.kind === "source" ? "" : stage.in, name: "number" },
      { text: stage.kind === "sink" ? "" : stage.out, name: "number" },
      { text: stage.state, name: "soft" },
    )),
  ]));
};

const connect = () => {
  events = new EventSource("live/events");
  events.addEventListener("known", ({ data }) => showKnown(JSON.parse(data)));
  events.addEventListener("reading", ({ data }) => showReading(JSON.parse(data)));
  events.addEventListener("statistics", ({ data }) => showStatistics(JSON.parse(data)));
  events.addEventListener("error", () => say("said", "The connection is lost; trying again …"));
};

// A browser opens six connections to a server: a page nobody sees must not keep one.
document.addEventListener("visibilitychange", () => {
  events?.close();
  if (!document.hidden) connect();
});

byId("unplug").addEventListener("click", async () => {
  const answer = await fetch("live/unplug", { method: "POST" });
  say("said", answer.ok ? "Unplugged." : await refusal(answer));
});

connect();
