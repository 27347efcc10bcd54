/** Changes of an input, from one bit to the half of another input: any change, anywhere. */
import type { Random } from "./random.ts";

export interface Material {
  /** Other inputs to cross with; not empty. */
  readonly pool: readonly Uint8Array[];
  readonly words: readonly Uint8Array[];
  readonly maxBytes: number;
}

type Mutation = (input: Buffer, random: Random, material: Material) => Buffer;

/** Bytes on the edges of lengths, signs and alphabets. */
const EDGE_BYTES = [0, 1, 0x0a, 0x0d, 0x20, 0x2e, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xff];
const EDGE_NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff];
const MAX_MUTATIONS = 5;
/** Copies of a part in one mutation: what costs more than its length shows then. */
const MAX_COPIES = 2_000;

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  setByte,
  addToByte,
  setNumber,
  remove,
  insertBytes,
  insertWord,
  insertWord,
  overwriteWithWord,
  repeatPart,
  movePart,
  crossOver,
  cut,
];

/** One to a few changes; the result is never longer than allowed. */
export function mutate(input: Uint8Array, random: Random, material: Material): Buffer {
  let result: Buffer = Buffer.from(input);
  const count = 1 + random.below(MAX_MUTATIONS);
  for (let i = 0; i < count; i++) {
    result = random.pick(MUTATIONS)(result, random, material).subarray(0, material.maxBytes);
  }
  return Buffer.from(result);
}

function changed(input: Buffer, random: Random, change: (byte: number) => number): Buffer {
  const result = Buffer.from(input);
  if (result.length === 0) return result;
  const at = random.below(result.length);
  result[at] = change(result[at] ?? 0);
  return result;
}

function flipBit(input: Buffer, random: Random): Buffer {
  return changed(input, random, (byte) => byte ^ (1 << random.below(8)));
}

function setByte(input: Buffer, random: Random): Buffer {
  return changed(input, random, () =>
    random.chance(2) ? random.pick(EDGE_BYTES) : random.below(256),
  );
}

function addToByte(input: Buffer, random: Random): Buffer {
  return changed(input, random, (byte) => byte + random.below(9) - 4);
}

/** A 16-bit number, as lengths and counts often are. */
function setNumber(input: Buffer, random: Random): Buffer {
  if (input.length < 2) return setByte(input, random);
  const result = Buffer.from(input);
  result.writeUInt16BE(random.pick(EDGE_NUMBERS), random.below(result.length - 1));
  return result;
}

function remove(input: Buffer, random: Random): Buffer {
  const [start, end] = part(input, random);
  return Buffer.concat([input.subarray(0, start), input.subarray(end)]);
}

function cut(input: Buffer, random: Random): Buffer {
  return input.subarray(0, random.below(input.length + 1));
}

function insert(input: Buffer, random: Random, piece: Uint8Array): Buffer {
  const at = random.below(input.length + 1);
  return Buffer.concat([input.subarray(0, at), piece, input.subarray(at)]);
}

function insertBytes(input: Buffer, random: Random): Buffer {
  const count = random.size(64);
  const bytes = Uint8Array.from({ length: count }, () => random.below(256));
  return insert(input, random, bytes);
}

function insertWord(input: Buffer, random: Random, { words }: Material): Buffer {
  return words.length === 0
    ? insertBytes(input, random)
    : insert(input, random, random.pick(words));
}

function overwriteWithWord(input: Buffer, random: Random, { words }: Material): Buffer {
  if (words.length === 0) return setByte(input, random);
  const word = random.pick(words);
  const [start] = part(input, random);
  return Buffer.concat([input.subarray(0, start), word, input.subarray(start + word.length)]);
}

/** Again and again, up to as much as fits. */
function repeatPart(input: Buffer, random: Random, { maxBytes }: Material): Buffer {
  const [start, end] = part(input, random);
  const piece = input.subarray(start, end);
  if (piece.length === 0) return input;
  const fitting = Math.max(1, Math.floor((maxBytes - input.length) / piece.length));
  const copies = random.size(Math.min(fitting, MAX_COPIES));
  const repeated = Array.from({ length: copies }, () => piece);
  return Buffer.concat([input.subarray(0, end), ...repeated, input.subarray(end)]);
}

function movePart(input: Buffer, random: Random): Buffer {
  const [start, end] = part(input, random);
  const rest = Buffer.concat([input.subarray(0, start), input.subarray(end)]);
  return insert(rest, random, input.subarray(start, end));
}

function crossOver(input: Buffer, random: Random, { pool }: Material): Buffer {
  const other = Buffer.from(random.pick(pool));
  const [start, end] = part(other, random);
  if (random.chance(2)) return insert(input, random, other.subarray(start, end));
  const [ownStart] = part(input, random);
  return Buffer.concat([input.subarray(0, ownStart), other.subarray(start)]);
}

function part(input: Buffer, random: Random): [start: number, end: number] {
  const start = random.below(input.length + 1);
  return [start, Math.min(input.length, start + random.size(Math.max(1, input.length - start)))];
}
