// Several recordings as a table that sorts, and as CSV.
import { clock, element } from "/picture.js";

const ORDER = ["likely spoof", "uncertain", "likely bona fide", "cannot judge"];
const COLUMNS = [
  { name: "Recording", key: (item) => item.name.toLowerCase() },
  { name: "Verdict", key: (item) => ORDER.indexOf(item.record.verdict) },
  { name: "Score", key: (item) => item.record.score ?? -Infinity, kind: "number" },
  { name: "Length", key: (item) => item.record.seconds ?? -1, kind: "number wide" }];

export class Table {
  // `show` is called with the item whose name is pressed.
  constructor(table, show) {
    this.table = table;
    this.show = show;
    this.by = 0;
    this.down = false;
    this.heads = COLUMNS.map(({ name, kind }, i) => {
      const button = element("button", { type: "button" }, name);
      button.onclick = () => this.sort(i);
      return element("th", { scope: "col", class: kind ?? "" }, button);
    });
    this.body = element("tbody");
    table.append(element("thead", {}, element("tr", {}, ...this.heads)), this.body);
  }

  sort(by) {
    this.down = by === this.by ? !this.down : false;
    this.by = by;
    this.fill(this.items, this.shown);
  }

  fill(items, shown) {
    this.items = items;
    this.shown = shown;
    const { key } = COLUMNS[this.by];
    const sorted = [...items].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      return (x < y ? -1 : x > y ? 1 : 0) * (this.down ? -1 : 1);
    });
    this.heads.forEach((head, i) => {
      if (i === this.by) head.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    this.body.replaceChildren(...sorted.map((item) => this.row(item, item === shown)));
  }

  row(item, selected) {
    const { record } = item;
    const button = element("button", { type: "button" }, item.name);
    button.onclick = () => this.show(item);
    return element("tr", selected ? { "aria-current": "true" } : {},
      element("td", {}, button),
      element("td", { "data-outcome": record.verdict },
        element("span", { class: "dot", "aria-hidden": "true" }), record.verdict),
      element("td", { class: "number" }, record.score === null ? "" : record.score.toFixed(2)),
      element("td", { class: "number wide" },
        record.seconds === undefined ? "" : clock(record.seconds, true)));
  }
}

export function csv(columns, rows) {
  // nothing may become a formula in a spreadsheet, which may cut a cell at semicolons and tabs too
  const cell = (value) => {
    let text = value === null ? "" : String(value);
    if (typeof value === "string") text = text.replace(/(^|[;\t\r\n])(\s*)(?=[=+\-@])/g, "$1$2'");
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",") + "\n").join("");
}
