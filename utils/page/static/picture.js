// Draws a recording: waveform, spectrogram, timeline; and plays it.
const STOPS = [[0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122],
  [229, 80, 100], [251, 135, 97], [254, 194, 135], [252, 253, 191]];      // magma
const MAP = Array.from({ length: 256 }, (_, i) => {
  const at = i / 255 * (STOPS.length - 1);
  const k = Math.min(STOPS.length - 2, Math.floor(at));
  return STOPS[k].map((from, c) => from + (STOPS[k + 1][c] - from) * (at - k));
});
const SHADES = { "likely bona fide": "real", "uncertain": "uncertain", "likely spoof": "fake" };
const SIGNS = { "likely bona fide": "real", "uncertain": "uncertain", "likely spoof": "synthetic" };
const TICKS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

export function clock(seconds, tenths = false) {
  const whole = tenths ? Math.round(seconds * 10) / 10 : Math.round(seconds);
  const h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
  const s = (whole % 60).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, "0");
  return h ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

export function unpack(sketch) {
  const int16 = (text) => new Int16Array(bytes(text).buffer);
  return { ...sketch, low: int16(sketch.low), high: int16(sketch.high),
    spectrum: bytes(sketch.spectrum) };
}

// A canvas of the size that it is shown in, cleared.
function fitted(canvas) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return pen;
}

export function drawWave(pen, width, height, sketch) {
  const { low, high, end, seconds } = sketch;
  let peak = 655;
  for (let i = 0; i < low.length; i++) peak = Math.max(peak, -low[i], high[i]);
  const step = width * end / seconds / low.length;
  pen.fillStyle = colour("wave");
  for (let i = 0; i < low.length; i++) {
    const top = height / 2 * (1 - high[i] / peak * .94);
    const bottom = height / 2 * (1 - low[i] / peak * .94);
    pen.fillRect(i * step, top, Math.max(step, .6), Math.max(1, bottom - top));
  }
}

export function drawSpectrum(pen, width, height, sketch) {
  const { spectrum, columns, lines, end, seconds } = sketch;
  if (!columns) return;
  const image = new ImageData(columns, lines);
  for (let x = 0; x < columns; x++) {
    for (let y = 0; y < lines; y++) {
      const at = 4 * ((lines - 1 - y) * columns + x);
      const [r, g, b] = MAP[spectrum[x * lines + y]];
      image.data.set([r, g, b, 255], at);
    }
  }
  const small = document.createElement("canvas");
  small.width = columns;
  small.height = lines;
  small.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(small, 0, 0, width * end / seconds, height);
}

export function drawStrip(pen, width, height, record) {
  const seconds = record.seconds;
  const bar = height - 20;
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  pen.textBaseline = "middle";
  pen.fillStyle = colour("none-tint");
  pen.fillRect(0, 0, width, bar);
  for (const { start, end, outcome } of record.stretches ?? []) {
    const shade = SHADES[outcome];
    if (!shade) continue;
    const left = width * start / seconds, wide = width * (end - start) / seconds;
    pen.fillStyle = colour(shade);
    pen.fillRect(left, 0, Math.max(1, wide - 1), bar);
    pen.textAlign = "center";
    if (pen.measureText(SIGNS[outcome]).width < wide - 8) {
      pen.fillStyle = colour("panel");
      pen.fillText(SIGNS[outcome], left + wide / 2, bar / 2 + .5);
    }
  }
  const step = TICKS.find((tick) => width * tick / seconds > 70) ?? 7200;
  pen.fillStyle = colour("soft");
  for (let t = 0; t <= seconds + 1e-6; t += step) {
    const x = width * t / seconds;
    pen.textAlign = t === 0 ? "left" : x > width - 20 ? "right" : "center";
    pen.fillText(clock(t, step < 1), t === 0 ? 4 : x, bar + 12);
  }
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export { element };

// The picture with its player, as elements. `file` may be null: then it is silent.
export class Player {
  constructor(record, sketch, file) {
    this.record = record;
    this.sketch = sketch;
    this.canvases = ["wave", "spectrum", "strip"].map((name) =>
      element("canvas", { class: name, "aria-hidden": "true" }));
    this.cursor = element("div", { class: "cursor" });
    this.stage = element("div", { class: "stage" }, ...this.canvases, this.cursor);
    this.button = element("button", { type: "button", class: "play" }, "Play");
    this.seek = element("input", { type: "range", min: "0", max: String(sketch.seconds),
      step: "0.1", value: "0", "aria-label": "Position in the recording" });
    this.time = element("span", { class: "time" });
    this.element = element("div", {}, this.stage,
      element("div", { class: "player" }, this.button, this.seek, this.time));
    this.audio = new Audio();
    this.audio.preload = "auto";
    if (file) {
      this.address = URL.createObjectURL(file);
      this.audio.src = this.address;
    }
    this.listen();
    this.moved(0);
  }

  listen() {
    this.button.onclick = () => (this.audio.paused ? this.audio.play().catch(() => this.mute()) : this.audio.pause());
    this.audio.onplay = () => { this.button.textContent = "Pause"; this.run(); };
    this.audio.onpause = () => { this.button.textContent = "Play"; };
    this.audio.onerror = () => this.mute();
    this.seek.oninput = () => this.jump(Number(this.seek.value));
    this.stage.onclick = (event) => {
      const box = this.stage.getBoundingClientRect();
      this.jump((event.clientX - box.left) / box.width * this.sketch.seconds);
    };
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.stage);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
    this.scheme.addEventListener("change", this.redraw);
  }

  mute() {
    if (this.button.disabled) return;
    this.button.disabled = true;
    this.element.append(element("p", { class: "small" },
      "This browser cannot play this kind of file. The picture is complete."));
  }

  draw() {
    const draws = [(pen, w, h) => drawWave(pen, w, h, this.sketch),
      (pen, w, h) => drawSpectrum(pen, w, h, this.sketch),
      (pen, w, h) => drawStrip(pen, w, h, this.record)];
    this.canvases.forEach((canvas, i) => {
      const pen = fitted(canvas);
      draws[i](pen, canvas.clientWidth, canvas.clientHeight);
    });
  }

  run() {
    this.moved(this.audio.currentTime);
    if (!this.audio.paused) requestAnimationFrame(() => this.run());
  }

  jump(seconds) {
    const to = Math.max(0, Math.min(seconds, this.sketch.seconds));
    if (Number.isFinite(this.audio.duration)) this.audio.currentTime = Math.min(to, this.audio.duration);
    this.moved(to);
  }

  moved(seconds) {
    this.cursor.style.left = `${Math.min(100, 100 * seconds / this.sketch.seconds)}%`;
    this.seek.value = String(seconds);
    this.seek.setAttribute("aria-valuetext",
      `${clock(seconds, true)} of ${clock(this.sketch.seconds, true)}`);
    this.time.textContent = `${clock(seconds)} / ${clock(this.sketch.seconds)}`;
  }

  close() {
    this.audio.pause();
    this.observer.disconnect();
    this.scheme.removeEventListener("change", this.redraw);
    if (this.address) URL.revokeObjectURL(this.address);
  }
}
