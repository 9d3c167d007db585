// The microphone: samples go to the server while one speaks, and are kept to play them.
export class Microphone {
  // `show` gets each update; `level` 0 to 1, and the seconds so far.
  constructor(token, show, level) {
    Object.assign(this, { token, show, level, blocks: [], samples: 0 });
  }

  // Resolves when it records. Throws an Error whose message is a sentence.
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("The browser gives the microphone only to https pages and to pages of this machine.");
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: {
        channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    } catch {
      throw new Error("There is no microphone, or this page may not use it.");
    }
    try {
      this.context = new AudioContext();
      await this.context.audioWorklet.addModule("/recorder.js");
      await this.context.resume();
      await this.connect();
    } catch (error) {
      this.release();
      throw error instanceof Error && error.shown ? error
        : new Error("The microphone's stream cannot be sent to the server.");
    }
    this.node = new AudioWorkletNode(this.context, "recorder", { numberOfOutputs: 0 });
    this.node.port.onmessage = ({ data }) => this.take(data);
    this.context.createMediaStreamSource(this.stream).connect(this.node);
  }

  connect() {
    const address = new URL("/v1/live", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(address);
    this.answer = new Promise((resolve, reject) => {
      this.socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.error) reject(told(message.error));
        else if (message.update) this.show(message.update);
        else resolve(message);
      };
      this.socket.onclose = () => reject(told("The connection to the server was lost."));
    });
    this.answer.catch(() => {});
    return new Promise((resolve, reject) => {
      this.socket.onopen = () => {
        this.socket.send(JSON.stringify({ rate: this.context.sampleRate, token: this.token }));
        resolve();
      };
      this.socket.onerror = reject;
    });
  }

  take(block) {
    if (block === null) {
      if (this.socket.readyState === WebSocket.OPEN) this.socket.send("end");
      this.release();
      return;
    }
    this.blocks.push(block);
    this.samples += block.length;
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(block);
    let power = 0;
    for (const sample of block) power += sample * sample;
    this.level(Math.sqrt(power / Math.max(1, block.length)) / 32768,
      this.samples / this.context.sampleRate);
  }

  // Ends the recording: resolves to the server's answer and the recording as a WAV file.
  stop() {
    this.node.port.postMessage("end");
    return this.done();
  }

  async done() {
    try {
      const answer = await this.answer;
      return { answer, file: wave(this.blocks, this.samples, this.context.sampleRate) };
    } finally {
      this.release();
      this.socket.close();
    }
  }

  release() {
    this.stream.getTracks().forEach((track) => track.stop());
    if (this.context && this.context.state !== "closed") this.context.close();
  }
}

function told(sentence) {
  return Object.assign(new Error(sentence), { shown: true });
}

function wave(blocks, samples, rate) {
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF"); head.setUint32(4, 36 + 2 * samples, true); text(8, "WAVEfmt ");
  head.setUint32(16, 16, true); head.setUint16(20, 1, true); head.setUint16(22, 1, true);
  head.setUint32(24, rate, true); head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true); head.setUint16(34, 16, true);
  text(36, "data"); head.setUint32(40, 2 * samples, true);
  return new File([head, ...blocks], "microphone.wav", { type: "audio/wav" });
}
