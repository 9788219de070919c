// Sound in the browser: from the microphone, from files, and as WAV, one channel in the model's own sample rate.

import { Failure } from "./shared.js";

/** Samples from -1 to 1 as 16-bit integers. */
export function asIntegers(samples) {
  const found = new Int16Array(samples.length);
  samples.forEach((value, place) => (found[place] = Math.round(Math.max(-1, Math.min(1, value)) * 32767)));
  return found;
}

/** A WAV file of samples. */
export function asWav(samples, rate) {
  const head = new DataView(new ArrayBuffer(44)), bytes = samples.length * 2;
  const text = (place, letters) => [...letters].forEach((letter, number) => head.setUint8(place + number, letter.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); // PCM
  head.setUint16(22, 1, true); // channels
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, bytes, true);
  return new Blob([head, asIntegers(samples)], { type: "audio/wav" });
}

/** The bytes of a blob as base64. */
export async function asBase64(blob) {
  const reader = new FileReader();
  await new Promise((resolve, reject) => {
    reader.onload = resolve;
    reader.onerror = () => reject(new Failure("The recording cannot be read."));
    reader.readAsDataURL(blob);
  });
  return reader.result.slice(reader.result.indexOf(",") + 1);
}

/** A file as samples of one channel at a rate; whatever the browser can play can be read. */
export async function decoded(file, rate) {
  const context = new OfflineAudioContext(1, 1, rate);
  let sound;
  try {
    sound = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Failure(`${file.name} is no recording that this browser can read. Convert it to WAV, for instance.`);
  }
  const mixed = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++)
    sound.getChannelData(channel).forEach((value, place) => (mixed[place] += value / sound.numberOfChannels));
  return mixed;
}

async function resampled(samples, from, to) {
  if (from === to) return samples;
  const context = new OfflineAudioContext(1, Math.max(1, Math.ceil((samples.length * to) / from)), to);
  const buffer = context.createBuffer(1, Math.max(1, samples.length), from);
  buffer.copyToChannel(samples, 0);
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
}

// What makes speech pleasant to hear, models have not learned from.
const AS_IT_IS = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

const WHY = {
  NotAllowedError: "This page may not use the microphone. Allow it beside the address, or open a recording instead.",
  NotFoundError: "There is no microphone. Open a recording instead.",
};

/** A microphone that is listened to: `heard(block)` gets samples at `rate`, about ten times a second. */
export class Microphone {
  static async open(wanted, heard) {
    if (!navigator.mediaDevices)
      throw new Failure("Browsers give the microphone only to pages of this machine, or over HTTPS. Open a recording instead.");
    const found = new Microphone();
    try {
      found.stream = await navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS });
    } catch (error) {
      throw new Failure(WHY[error.name] ?? `The microphone cannot be used: ${error.message}`);
    }
    try {
      found.#listen(new AudioContext({ sampleRate: wanted }));
    } catch {
      await found.context?.close();
      found.#listen(new AudioContext()); // some browsers do not resample a microphone
    }
    await found.context.audioWorklet.addModule(new URL("capture.js", import.meta.url));
    const node = new AudioWorkletNode(found.context, "capture", { numberOfOutputs: 0 });
    found.blocks = [];
    let waiting = [], count = 0;
    node.port.onmessage = ({ data }) => {
      found.blocks.push(data);
      waiting.push(data);
      count += data.length;
      if (count < found.rate / 10) return;
      heard(joined(waiting));
      [waiting, count] = [[], 0];
    };
    found.source.connect(node);
    found.rest = () => joined(waiting);
    return found;
  }

  #listen(context) {
    this.context = context;
    this.source = context.createMediaStreamSource(this.stream);
  }

  get rate() {
    return this.context.sampleRate;
  }

  /** End it. */
  async close() {
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context.close();
  }

  /** All that was heard, at a rate. */
  samples(rate) {
    return resampled(joined(this.blocks), this.rate, rate);
  }
}

function joined(blocks) {
  const found = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let place = 0;
  for (const block of blocks) {
    found.set(block, place);
    place += block.length;
  }
  return found;
}
