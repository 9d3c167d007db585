// The page: takes recordings, sends them, shows the verdicts.
import { Microphone } from "/microphone.js";
import { Player, clock, colour, drawSpectrum, drawStrip, drawWave, element, unpack } from "/picture.js";
import { Table, csv } from "/table.js";

const AT_ONCE = 2;          // uploads
const MOST_STRETCHES = 8;
const MOST_RETRIES = 60;    // when the line before the server is full
const SIGNS = {             // shapes, so that colour alone tells nothing
  "likely bona fide": "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm-1.3 14.2-4-4 1.5-1.5 2.5 2.5 5.3-5.3 1.5 1.5-6.8 6.8Z",
  "uncertain": "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm1.1 15.6h-2.2v-2.1h2.2v2.1Zm0-3.6h-2.2c0-3 2.7-2.8 2.7-4.5 0-.9-.7-1.5-1.6-1.5s-1.7.6-1.7 1.6H8.1C8.1 7.4 9.8 6 12 6s3.8 1.4 3.8 3.5c0 2.5-2.7 2.7-2.7 4.5Z",
  "likely spoof": "M12 2 1 21h22L12 2Zm1.100 16h-2.200v-2.200h2.200V18Zm0-4h-2.200V9h2.200v5Z",
  "cannot judge": "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20ZM6.500 10.900h11v2.200h-11v-2.200Z" };

const $ = (id) => document.getElementById(id);
const items = [];           // every recording that was judged
const queue = [];           // files that wait to be sent
let sending = 0;
let shown = null;           // the item in the result
let player = null;
let model = null;
let met;                    // settles when the server was asked for its model
let token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) history.replaceState(null, "", location.pathname);

const table = new Table($("table"), (item) => show(item));

function news(text) {
  $("news").textContent = text;
}

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

// --- the model ---------------------------------------------------------------

async function meet() {
  const answer = await fetch("/v1/model", { headers: authorised() });
  $("unlock").hidden = answer.status !== 401;
  if (answer.status === 401) {
    problem(token ? "That token is wrong." : "");
    $("token").focus();
    return;
  }
  problem("");
  model = await answer.json();
  $("limits").textContent = `Any audio or video file, up to ${Math.round(model.most_bytes / 1e6)} MB `
    + `and ${Math.round(model.longest_seconds / 60)} minutes.`;
  $("model").replaceChildren(...facts({ model: model.model, threshold: model.threshold_words,
    errors: model.errors }));
  $("card").hidden = !model.card;
}

// Whether the server can be asked; if not, the page says why.
async function ready() {
  await met;
  problem(model ? "" : "The server is locked, or cannot be reached.");
  return model !== null;
}

function authorised() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

$("unlock").onsubmit = (event) => {
  event.preventDefault();
  token = $("token").value;
  meet();
};

// --- sending -----------------------------------------------------------------

async function add(files) {
  if (!await ready()) return;
  for (const file of files) {
    if (file.size > model.most_bytes) {
      problem(`${file.name} is larger than ${Math.round(model.most_bytes / 1e6)} MB.`);
      continue;
    }
    queue.push(new Sending(file));
  }
  next();
}

function next() {
  while (sending < AT_ONCE && queue.length) {
    sending++;
    queue.shift().send();
  }
}

class Sending {
  constructor(file) {
    this.file = file;
    this.tries = 0;
    this.bar = element("progress", { max: "1", "aria-label": `Progress of ${file.name}` });
    this.state = element("span", { class: "state small" }, "waits");
    this.button = element("button", { type: "button", "aria-label": `Cancel ${file.name}` }, "Cancel");
    this.button.onclick = () => this.cancel();
    this.line = element("li", {}, element("span", { class: "name" }, file.name), this.button,
      this.bar, this.state);
    $("work").append(this.line);
  }

  send() {
    this.timer = null;
    if (this.cancelled) {
      this.end();
      return;
    }
    const form = new FormData();
    form.append("file", this.file);
    const request = this.request = new XMLHttpRequest();
    let read = 0;
    request.open("POST", "/v1/verdict");
    request.setRequestHeader("Accept", "application/x-ndjson");
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.upload.onprogress = ({ loaded, total }) => this.tell("is sent", loaded / total);
    request.upload.onload = () => this.tell("waits for its turn", null);
    request.onprogress = () => {
      if (request.status !== 200) return;
      for (;;) {
        const stop = request.responseText.indexOf("\n", read);
        if (stop < 0) return;
        this.hear(JSON.parse(request.responseText.slice(read, stop)));
        read = stop + 1;
      }
    };
    request.onload = () => this.answered();
    request.onerror = () => this.fail(`${this.file.name}: the server cannot be reached.`);
    request.onabort = () => this.end();
    request.send(form);
  }

  tell(words, share) {
    this.state.textContent = words;
    if (share === null) this.bar.removeAttribute("value");
    else this.bar.value = share;
  }

  hear(message) {
    if (message.progress) {
      const { seconds, of } = message.progress;
      if (seconds) this.tell(`heard ${clock(seconds)}${of ? ` of ${clock(of)}` : ""}`, of ? seconds / of : null);
    } else {
      this.done = true;
      keep(message, this.file);
    }
  }

  answered() {
    const { request } = this;
    if (request.status === 503 && this.tries++ < MOST_RETRIES) {
      this.tell("waits: the line before the server is full", null);
      this.timer = setTimeout(() => this.send(), 1000 * (request.getResponseHeader("Retry-After") ?? 5));
      return;
    }
    if (request.status === 200) {
      if (!this.done) problem(`${this.file.name}: the server ended before the verdict.`);
      this.end();
      return;
    }
    let sentence = "the server could not answer.";
    try {
      sentence = JSON.parse(request.responseText).error ?? sentence;
    } catch { /* the sentence stays */ }
    if (request.status === 401) meet();
    this.fail(`${this.file.name}: ${sentence}`);
  }

  fail(sentence) {
    problem(sentence);
    this.end();
  }

  cancel() {
    this.cancelled = true;
    news(`${this.file.name} is cancelled`);
    const at = queue.indexOf(this);
    if (at >= 0) {
      queue.splice(at, 1);
      this.line.remove();
    } else if (this.timer) {
      clearTimeout(this.timer);
      this.end();
    } else {
      this.request.abort();
    }
  }

  end() {
    if (this.ended) return;
    this.ended = true;
    this.line.remove();
    sending--;
    next();
  }
}

// --- results -----------------------------------------------------------------

function keep(answer, file) {
  const item = { ...answer, file, name: answer.record.file };
  if (answer.sketch) item.sketch = unpack(answer.sketch);
  items.push(item);
  news(`${item.name}: ${item.record.verdict}. ${item.sentence}`);
  if (items.length === 1) show(item, true);
  else list();
}

function list() {
  $("many").hidden = items.length < 2;
  if (items.length > 1) table.fill(items, shown);
}

function verdictParts(outcome, sentence, tag = "h2", heading = outcome) {
  const sign = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  sign.setAttribute("viewBox", "0 0 24 24");
  sign.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SIGNS[outcome] ?? SIGNS["cannot judge"]);
  path.setAttribute("fill", "currentColor");
  sign.append(path);
  return [sign, element(tag, { class: "outcome" }, heading ?? "no verdict"),
    element("p", { class: "sentence" }, sentence)];
}

// The score on its scale, with threshold and band; in words for a screen reader.
function scale(record) {
  const { score, threshold, band } = record;
  if (score === null) return "";
  const span = model.score_range ?? [-8, 8];
  const low = Math.floor(Math.min(span[0], score, -4));
  const high = Math.ceil(Math.max(span[1], score, 4));
  const place = (value) => 100 * (value - low) / (high - low);
  const bar = element("div", { class: "bar" });
  const zone = (from, to, tint, last) => {
    const part = element("div", { class: last ? "zone last" : "zone" });
    part.style.left = `${place(from)}%`;
    part.style.width = `${place(to) - place(from)}%`;
    part.style.background = `var(--${tint}-tint)`;
    bar.append(part);
  };
  if (band) {
    zone(low, band[0], "fake");
    zone(band[0], band[1], "uncertain");
    zone(band[1], high, "real", true);
  }
  if (threshold !== null) {
    const tick = element("div", { class: "threshold" });
    tick.style.left = `${place(threshold)}%`;
    bar.append(tick);
  }
  const mark = element("div", { class: "mark" }, score.toFixed(2));
  mark.style.left = `${Math.max(3, Math.min(97, place(score)))}%`;
  bar.append(mark);
  const told = [`Score ${score.toFixed(2)}`];
  if (threshold !== null) told.push(`threshold ${threshold.toFixed(2)} (the line)`);
  if (band) told.push(`uncertain from ${band[0].toFixed(2)} to ${band[1].toFixed(2)}`);
  return element("figure", { class: "scale" }, bar,
    element("div", { class: "ends", "aria-hidden": "true" }, element("span", {}, "synthetic"),
      element("span", {}, "real")),
    element("figcaption", {}, told.join("; ")));
}

function facts(pairs) {
  return Object.entries(pairs).flatMap(([name, text]) =>
    [element("dt", {}, name), element("dd", {}, text)]);
}

function told(record) {
  const kinds = [["reasons", "reason"], ["notes", "heard"], ["model_warnings", "warning"],
    ["warnings", "warning"]];
  const lines = kinds.flatMap(([field, word]) => (record[field] ?? []).map((text) =>
    element("li", { class: word }, element("b", {}, `${word}: `), text)));
  return lines.length ? element("ul", { class: "told" }, ...lines) : "";
}

function stretches(record) {
  const parts = record.stretches ?? [];
  if (parts.length < 2) return "";
  const all = parts.map((part) => {
    const score = part.score === null ? "" : ` (${part.score.toFixed(2)})`;
    const button = element("button", { type: "button", "data-outcome": part.outcome },
      `${clock(part.start, true)} to ${clock(part.end, true)}: ${part.outcome}${score}`);
    button.onclick = () => player.jump(part.start);
    return element("li", {}, button);
  });
  const list = (items) => element("ul", { class: "stretches", "aria-label": "Timeline: means of overlapping windows, right to about two seconds" }, ...items);
  if (all.length <= MOST_STRETCHES) return list(all);
  return element("div", {}, list(all.slice(0, MOST_STRETCHES)), element("details", {},
    element("summary", {}, `${all.length - MOST_STRETCHES} more stretches`), list(all.slice(MOST_STRETCHES))));
}

function voices(record) {
  if ((record.voices ?? []).length < 2) return "";
  return element("div", {}, element("h3", {}, "Each track or channel"),
    element("dl", { class: "facts" }, ...facts(Object.fromEntries(record.voices.map((voice) =>
      [voice.voice, voice.verdict + (voice.score === null ? "" : ` (${voice.score.toFixed(2)})`)])))));
}

function says(item) {
  if (!item.says.length) return "";
  return element("div", { class: "says" }, element("h3", {}, "What the file says of itself"),
    element("ul", { class: "told" }, ...item.says.map(([text, proves]) => element("li", {}, text,
      proves ? element("span", { class: "small" }, `${text ? " " : ""}(${proves})`) : ""))));
}

function show(item, first = false) {
  player?.close();
  player = null;
  shown = item;
  const { record } = item;
  const result = $("result");
  const head = element("div", { class: "verdict", "data-outcome": record.verdict },
    ...verdictParts(record.verdict, item.sentence));
  result.replaceChildren(element("p", { class: "file-name" }, item.name), head, scale(record), told(record));
  if (item.sketch && item.sketch.seconds > 0) {
    player = new Player(record, item.sketch, item.file);
    result.append(player.element);
  }
  result.append(stretches(record), voices(record), says(item), saves(item));
  if (Object.keys(item.facts).length) {
    result.append(element("details", {}, element("summary", {}, "In figures"),
      element("dl", { class: "facts" }, ...facts(item.facts))));
  }
  result.hidden = false;
  list();
  result.focus({ preventScroll: true });
  if (first && $("work").children.length <= 1) result.scrollIntoView({ block: "start", behavior: "auto" });
}

function saves(item) {
  const json = element("button", { type: "button", id: "save-json" }, "Save JSON");
  json.onclick = () => save(JSON.stringify(item.record, null, 2), `${item.name}.json`, "application/json");
  const buttons = element("div", { class: "buttons" }, json);
  if (item.sketch) {
    const picture = element("button", { type: "button", id: "save-picture" }, "Save picture");
    picture.onclick = () => savePicture(item);
    buttons.append(picture);
  }
  return buttons;
}

function save(content, name, type) {
  const link = element("a", { download: name });
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function savePicture(item) {
  const [width, left] = [1200, 40];
  const canvas = element("canvas", { width: String(width), height: "620" });
  const pen = canvas.getContext("2d");
  const { record, sketch } = item;
  pen.fillStyle = colour("panel");
  pen.fillRect(0, 0, width, 620);
  pen.fillStyle = colour("ink");
  const face = "system-ui, 'DejaVu Sans', sans-serif";
  const line = (text, font, y) => {
    pen.font = `${font} ${face}`;
    pen.fillText(text, left, y, width - 2 * left);
  };
  const score = record.score === null ? "" : `, score ${record.score.toFixed(2)}`;
  line(`${record.verdict}${score}`, "600 30px", 52);
  line(item.name, "18px", 84);
  const inside = (y, draw) => {
    pen.save();
    pen.translate(left, y);
    draw();
    pen.restore();
  };
  inside(110, () => drawWave(pen, width - 2 * left, 150, sketch));
  inside(270, () => drawSpectrum(pen, width - 2 * left, 220, sketch));
  inside(500, () => drawStrip(pen, width - 2 * left, 52, record));
  pen.fillStyle = colour("soft");
  pen.textAlign = "left";
  line(item.facts.threshold ? `threshold ${item.facts.threshold}` : "", "14px", 582);
  line(`model ${item.facts.model ?? ""}`, "14px", 604);
  canvas.toBlob((blob) => save(blob, `${item.name}.png`));
}

$("save-csv").onclick = () => save(csv(model.columns, items.map((item) => item.row)), "verdicts.csv", "text/csv");
$("save-all").onclick = () => save(JSON.stringify(items.map((item) => item.record), null, 2),
  "verdicts.json", "application/json");
$("clear").onclick = () => {
  player?.close();
  player = shown = null;
  items.length = 0;
  $("result").hidden = $("many").hidden = true;
  $("choose").focus();
};

// --- choosing, dropping ------------------------------------------------------

$("choose").onclick = () => $("files").click();
$("files").onchange = () => {
  add([...$("files").files]);
  $("files").value = "";
};
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  add([...event.dataTransfer.files]);
});

// --- the microphone ----------------------------------------------------------

let microphone = null;

$("speak").onclick = async () => {
  if (!await ready()) return;
  $("speak").disabled = true;
  microphone = new Microphone(token, follow, (level, seconds) => {
    $("level").style.transform = `scale(${0.5 + Math.min(1.2, 6 * level)})`;
    $("live-time").textContent = clock(seconds);
  });
  try {
    await microphone.start();
  } catch (error) {
    problem(error.message);
    $("speak").disabled = false;
    return;
  }
  $("live-state").textContent = "Listening";
  $("live-time").textContent = "0:00";
  $("live-verdict").replaceChildren();
  $("live-verdict").dataset.outcome = $("live-verdict").dataset.heading = "";
  $("live-scale").replaceChildren();
  $("live-why").textContent = "";
  $("live").hidden = false;
  $("stop").disabled = false;
  $("stop").focus();
  const mine = microphone;
  mine.answer.then(() => mine === microphone && stopped(mine.stop()),     // the longest it may last
    (error) => stopped(Promise.reject(error)));
};

function follow(update) {
  const box = $("live-verdict");
  const quiet = update.score === null;
  const outcome = quiet ? "no speech" : update.verdict;
  const heading = quiet ? (update.speech_seconds > 0 ? "little speech so far" : "no speech so far")
    : update.verdict;
  const sentence = quiet ? "The verdict follows as soon as there is enough." : update.sentence;
  const why = quiet ? "" : update.reasons[0] ?? "";
  if (box.dataset.outcome !== outcome || box.dataset.heading !== heading) {
    box.dataset.outcome = outcome;      // only what changes is read aloud
    box.dataset.heading = heading;
    box.replaceChildren(...verdictParts(outcome, sentence, "p", heading));
  }
  $("live-why").textContent = why;
  $("live-scale").replaceChildren(scale({ ...update, threshold: model.threshold, band: model.band }));
}

$("stop").onclick = () => {
  $("stop").disabled = true;
  $("live-state").textContent = "Judging the whole";
  stopped(microphone.stop());
};

async function stopped(ended) {
  const mine = microphone;
  microphone = null;
  try {
    const { answer, file } = await ended;
    $("live").hidden = true;
    keep(answer, file);
    if (items.length > 1) show(items.at(-1), true);
  } catch (error) {
    if (mine) {
      mine.release();
      problem(error.message);
    }
    $("live").hidden = true;
  }
  $("speak").disabled = false;
}

met = meet().catch(() => problem("The server cannot be reached."));
