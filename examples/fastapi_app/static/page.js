// What every page needs. Text goes into pages as text, never as HTML.

export const byId = (id) => document.getElementById(id);

const shown = (value) => (typeof value === "number" ? value.toLocaleString("en") : value);

export const say = (id, text) => {
  byId(id).textContent = shown(text);
};

// Each cell is { text, name: its classes, below: a second line, span: columns }.
export const tableRow = (...cells) => {
  const row = document.createElement("tr");
  for (const { text, name = "", below = null, span = 1 } of cells) {
    const cell = row.insertCell();
    cell.textContent = shown(text);
    cell.className = name;
    cell.colSpan = span;
    if (below !== null) {
      const line = document.createElement("div");
      line.className = "soft";
      line.textContent = below;
      cell.append(line);
    }
  }
  return row;
};

// What a server says that refuses: FastAPI's {"detail": ...}, or any text.
export const refusal = async (answer) => {
  const text = await answer.text();
  try {
    const { detail } = JSON.parse(text);
    return typeof detail === "string" ? detail : JSON.stringify(detail);
  } catch {
    return text || `${answer.status} ${answer.statusText}`;
  }
};
