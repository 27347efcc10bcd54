/**
 * Whether an answer belongs to a query: its id, its kind and its question (RFC 5452 section 9.1).
 */
import { HEADER_BYTES, readHeader, readQuestion } from "./message.ts";

/** Type and class, behind the name of a question. */
const QUESTION_FIXED_BYTES = 4;

/**
 * Names are compared without regard to case, as servers do. An error may come without a question:
 * servers that could not read one, or would not, do that.
 */
export function isAnswerTo(query: Buffer, answer: Buffer): boolean {
  const asked = readHeader(query);
  const given = readHeader(answer);
  if (asked === undefined || given === undefined || !given.isResponse) return false;
  if (given.id !== asked.id || given.opcode !== asked.opcode) return false;
  if (given.questions === 0 && given.rcode !== 0) return true;
  const question = readQuestion(query);
  // What has no question that can be read is an opaque message with an opaque answer.
  if (question === undefined || asked.questions !== 1) return true;
  if (given.questions !== 1 || answer.length < question.end) return false;
  const nameEnd = question.end - QUESTION_FIXED_BYTES;
  for (let at = HEADER_BYTES; at < nameEnd; at++) {
    if (lowerCase(query[at] ?? 0) !== lowerCase(answer[at] ?? 0)) return false;
  }
  return query.compare(answer, nameEnd, question.end, nameEnd, question.end) === 0;
}

/** Lengths of labels are no letters: they end at 63. */
function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}
